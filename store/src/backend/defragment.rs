use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fail::fail_point;

use super::batch::Batch;
use super::{BackendError, Shared, copy};
use crate::bugs::Bug;

/// What the copy of a defragmentation is called begins so, as etcd's does.
const PREFIX: &str = "db.tmp.defrag";

pub(super) fn run(shared: &Shared) -> Result<(), BackendError> {
    let began = Instant::now();
    let mut batch = Batch::lock(shared);
    if shared.options.bugs.has(Bug::DefragIndex) {
        // Planted #14685: this commit leaves out the hook, and with it the consistent index that
        // belongs to the data. The right code runs it before every commit.
        batch.commit_without_hook();
    } else {
        batch.commit();
    }
    let (database, generation) = {
        let view = shared.view();
        (view.database.clone(), view.generation)
    };
    let path = &shared.path;
    let temporary = beside(path).join(format!("{PREFIX}.{}", std::process::id()));
    crate::info!("defragmenting", "path": path.display().to_string());
    fail_point!("defragBeforeCopy");
    let copied = copy::Source::begin(&database, path).and_then(|source| source.copy_to(&temporary));
    if let Err(error) = copied {
        remove(&temporary)?;
        return Err(error);
    }
    drop(database);
    fail_point!("defragBeforeRename");
    if let Err(error) = fs::rename(&temporary, path) {
        crate::fatal!("failed to rename tmp database", "error": error.to_string());
    }
    let reopened = copy::sync_directory(path).and_then(|()| copy::open_database(path));
    match reopened {
        // Only #20271 lets somebody else's database be there.
        Ok(_) if shared.view().generation != generation => {}
        Ok(database) => shared.change_view().database = database.into(),
        Err(error) => crate::fatal!("failed to open database", "error": error.0),
    }
    crate::info!(
        "finished defragmenting directory",
        "path": path.display().to_string(),
        "took": format!("{:?}", began.elapsed()),
    );
    Ok(())
}

/// Removes copies whose defragmentation did not come to its end.
pub(super) fn remove_leftovers(path: &Path) -> Result<(), BackendError> {
    let directory = beside(path);
    let failed = |error| BackendError::new("reading", &directory, error);
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), BackendError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackendError::new("removing", path, error))
        }
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
