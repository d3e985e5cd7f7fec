use super::*;

const IDENTITY: Identity = Identity {
    id: 7,
    cluster_id: 9,
};

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        index,
        term,
        data: format!("data of {index} at {term}").into_bytes().into(),
        ..Entry::default()
    }
}

fn state(term: u64, commit: u64) -> HardState {
    HardState {
        term,
        commit,
        ..HardState::default()
    }
}

fn mark(index: u64) -> Mark {
    let mut mark = Mark {
        index,
        term: 1,
        ..Mark::default()
    };
    mark.conf.voters = vec![1, 2, 3];
    mark
}

fn append(wal: &mut Wal, entries: &[Entry]) {
    let last = entries.last().unwrap();
    let hard_state = state(last.term, last.index - 1);
    let batch = Batch {
        entries,
        hard_state: Some(&hard_state),
        mark: None,
    };
    wal.append(&batch).unwrap();
}

fn indexes(found: &Found) -> Vec<(u64, u64)> {
    found.entries.iter().map(|e| (e.index, e.term)).collect()
}

/// A log with entries 1 to 3, the third a batch of its own; where that begins, and all bytes.
fn written(dir: &Path) -> (PathBuf, usize, Vec<u8>) {
    let mut wal = Wal::create(dir, IDENTITY, &[entry(1, 1)], &state(1, 1)).unwrap();
    append(&mut wal, &[entry(2, 1)]);
    let begins = wal.size as usize;
    append(&mut wal, &[entry(3, 1)]);
    let path = segment(dir, 0, 0);
    let bytes = fs::read(&path).unwrap();
    (path, begins, bytes)
}

#[test]
fn what_is_written_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(dir.path()).unwrap().is_none());
    let mut wal = Wal::create(dir.path(), IDENTITY, &[], &HardState::default()).unwrap();
    append(&mut wal, &[entry(1, 1), entry(2, 1), entry(3, 1)]);
    append(&mut wal, &[entry(2, 2)]);
    let found = read(dir.path()).unwrap().unwrap();
    assert_eq!(found.identity, IDENTITY);
    assert_eq!(found.hard_state, state(2, 1));
    assert_eq!(indexes(&found), [(1, 1), (2, 2)]);
    let mut wal = Wal::open(dir.path(), &found).unwrap();
    append(&mut wal, &[entry(3, 2)]);
    let found = read(dir.path()).unwrap().unwrap();
    assert_eq!(indexes(&found), [(1, 1), (2, 2), (3, 2)]);
    assert_eq!(found.entries[2].data, entry(3, 2).data);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let (path, begins, bytes) = written(dir.path());
    for length in begins..bytes.len() {
        // Short, and as long as it was with the rest never written.
        for torn in [
            bytes[..length].to_vec(),
            [&bytes[..length], &vec![0; bytes.len() - length]].concat(),
        ] {
            fs::write(&path, &torn).unwrap();
            let found = read(dir.path()).unwrap().unwrap();
            // The last bytes of an entry may be zeros anyway.
            if torn != bytes {
                assert_eq!(indexes(&found), [(1, 1), (2, 1)], "at {length}");
            }
            let mut wal = Wal::open(dir.path(), &found).unwrap();
            append(&mut wal, &[entry(3, 5)]);
            let found = read(dir.path()).unwrap().unwrap();
            assert_eq!(indexes(&found), [(1, 1), (2, 1), (3, 5)], "at {length}");
        }
    }
}

#[test]
fn damage_before_a_good_record_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, begins, bytes) = written(dir.path());
    for at in 0..begins {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let error = format!("{:#}", read(dir.path()).unwrap_err());
        assert!(
            error.contains("with good ones after it"),
            "at {at}: {error}"
        );
    }
}

#[test]
fn segments_follow_each_other_and_none_may_be_missing_or_torn() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::create(dir.path(), IDENTITY, &[], &HardState::default()).unwrap();
    wal.segment_bytes = 200;
    for index in 1..=20 {
        append(&mut wal, &[entry(index, 1)]);
    }
    let all = segments(dir.path()).unwrap();
    assert!(all.len() > 3);
    let found = read(dir.path()).unwrap().unwrap();
    assert_eq!(found.entries.len(), 20);
    assert_eq!(found.hard_state, state(1, 19));
    // The name says what the segment begins with.
    let (_, index, path) = &all[2];
    let alone = tempfile::tempdir().unwrap();
    fs::copy(path, segment(alone.path(), 0, *index)).unwrap();
    let error = format!("{:#}", read(alone.path()).unwrap_err());
    assert!(
        error.contains(&format!("a gap before entry {index}")),
        "{error}"
    );

    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(read(dir.path()).is_err());
    fs::remove_file(path).unwrap();
    let error = format!("{:#}", read(dir.path()).unwrap_err());
    assert!(error.contains("is missing"), "{error}");
}

#[test]
fn entries_up_to_a_snapshot_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::create(dir.path(), IDENTITY, &[], &HardState::default()).unwrap();
    let all: Vec<_> = (1..=10).map(|index| entry(index, 1)).collect();
    append(&mut wal, &all);
    let snapshot = mark(8);
    let batch = Batch {
        mark: Some(&snapshot),
        ..Batch::default()
    };
    wal.append(&batch).unwrap();
    let found = read(dir.path()).unwrap().unwrap();
    assert_eq!(found.marks, [snapshot]);
    assert_eq!(indexes(&found), [(9, 1), (10, 1)]);

    // A peer's snapshot is ahead of everything.
    let batch = Batch {
        mark: Some(&mark(50)),
        ..Batch::default()
    };
    wal.append(&batch).unwrap();
    append(&mut wal, &[entry(51, 2)]);
    let found = read(dir.path()).unwrap().unwrap();
    assert_eq!(indexes(&found), [(51, 2)]);
}
