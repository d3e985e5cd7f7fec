//! Functions of Go binaries, by name: where they begin, where they return, and
//! whether one may be skipped.
//!
//! Release binaries are stripped, but Go's runtime needs the names of all
//! functions (for panics and profiles), so they are still there, in
//! `.gopclntab`; see [`Layout`] for its layouts. [`Symbols::open`] reads
//! executables for Linux on x86-64, of Go 1.2 and later, stripped or not,
//! position-independent or not. Addresses are those in the file; a process has
//! them [`Symbols::bias_in`] further on.
//!
//! Every length and offset in the file is checked: a damaged table is an error.

mod build_info;
mod code;
mod elf;
mod error;
mod nearest;
mod pattern;
mod places;
mod process;
mod results;
mod table;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use code::Returns;
pub use error::SymbolError;
pub use results::ResultUse;
pub use table::Layout;

use elf::Image;
use pattern::{Name, Pattern};
use table::{Entry, Table};

/// The largest file that is read. etcd's are 25 MB.
const FILE_LIMIT: u64 = 1 << 30;

/// A function of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its full name, as Go gives it:
    /// `go.etcd.io/etcd/server/v3/mvcc/backend.(*backend).defrag`.
    pub name: &'a str,
    /// The address of its first instruction, in the file.
    pub entry: u64,
    /// The next function's address, in the file. Padding may come before it.
    pub end: u64,
}

/// A place in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Its first instruction. Go's stack growth runs it a second time.
    Entry,
    /// Each RET instruction.
    Return,
}

/// The functions of one binary.
#[derive(Debug)]
pub struct Symbols {
    path: PathBuf,
    identity: process::Identity,
    image: Image,
    table: Table,
    go_version: Option<String>,
}

impl Symbols {
    /// Reads a binary. Takes milliseconds, and holds as much memory as the file
    /// is large.
    ///
    /// # Errors
    ///
    /// [`SymbolError::Read`], [`SymbolError::NotAnExecutable`],
    /// [`SymbolError::NotGo`] or [`SymbolError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, SymbolError> {
        let failed = |reason| SymbolError::Read {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is no regular file")));
        }
        if metadata.len() > FILE_LIMIT {
            return Err(failed(io::Error::other("it is larger than 1 GiB")));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take(FILE_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(failed)?;

        let image = Image::new(bytes).map_err(|reason| SymbolError::NotAnExecutable {
            path: path.to_owned(),
            what: reason.0,
        })?;
        let table = match Table::find(&image) {
            None => {
                return Err(SymbolError::NotGo {
                    path: path.to_owned(),
                });
            }
            Some(read) => read.map_err(|what| SymbolError::Damaged {
                path: path.to_owned(),
                what,
            })?,
        };
        Ok(Self {
            path: path.to_owned(),
            identity: process::Identity::of(&metadata),
            go_version: build_info::go_version(&image),
            image,
            table,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The layout of its function table.
    pub fn layout(&self) -> Layout {
        self.table.layout
    }

    /// The Go release that built it, as `go1.19.8`, if the binary says so.
    pub fn go_version(&self) -> Option<&str> {
        self.go_version.as_deref()
    }

    /// How many functions it has.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a table without functions is damaged"
    )]
    pub fn len(&self) -> usize {
        self.table.entries.len()
    }

    /// Every function, by address.
    pub fn functions(&self) -> impl Iterator<Item = Function<'_>> {
        self.table.entries.iter().map(|entry| self.function(entry))
    }

    fn function(&self, entry: &Entry) -> Function<'_> {
        Function {
            name: self.table.name(&self.image, entry),
            entry: entry.entry,
            end: entry.end,
        }
    }

    /// The one function that a pattern means.
    ///
    /// A pattern is the end of the full name, from the front or behind a `/` of
    /// the package's path or behind the package's dot: so that one fits every
    /// release, whose package paths differ. `backend.(*backend).defrag`,
    /// `(*backend).defrag` and `defragdb` are patterns. `*` stands for
    /// anything but `/`; the star of a receiver, `(*T)`, stands for itself,
    /// and `(*)` is any receiver.
    ///
    /// What the compiler derives from a function (closures `.func1`, wrappers
    /// `-fm`, `.gowrap1`, `·dwrap·1`) is only found by a pattern that ends with
    /// it: `(*backend).defrag.func1` or `(*backend).defrag.func*`.
    ///
    /// # Errors
    ///
    /// [`SymbolError::NotFound`] or [`SymbolError::Ambiguous`].
    pub fn find(&self, pattern: &str) -> Result<Function<'_>, SymbolError> {
        self.find_first(&[pattern])
    }

    /// The one function that the first pattern with a match means: for a
    /// function that releases name differently.
    ///
    /// # Errors
    ///
    /// [`SymbolError::NotFound`] if none of them matches;
    /// [`SymbolError::Ambiguous`] of the first that matches more than once.
    pub fn find_first(&self, patterns: &[&str]) -> Result<Function<'_>, SymbolError> {
        for pattern in patterns {
            let found = self.find_all(pattern);
            match found[..] {
                [] => {}
                [one] => return Ok(one),
                _ => return Err(self.ambiguous(pattern, &found)),
            }
        }
        let mut nearest = Vec::new();
        for pattern in patterns {
            let names = self.functions().map(|one| one.name);
            nearest.extend(nearest::nearest(&Pattern::new(pattern), names));
        }
        let mut seen = std::collections::HashSet::new();
        nearest.retain(|name| seen.insert(name.clone()));
        Err(SymbolError::NotFound {
            path: self.path.clone(),
            patterns: patterns.iter().map(|one| (*one).to_owned()).collect(),
            nearest,
        })
    }

    fn ambiguous(&self, pattern: &str, found: &[Function<'_>]) -> SymbolError {
        let told = |one: &Function<'_>| match found
            .iter()
            .filter(|other| other.name == one.name)
            .count()
        {
            1 => one.name.to_owned(),
            _ => format!("{} (at {:#x})", one.name, one.entry),
        };
        SymbolError::Ambiguous {
            path: self.path.clone(),
            pattern: pattern.to_owned(),
            names: found.iter().map(told).collect(),
        }
    }

    /// Every function that a pattern matches, by address; see
    /// [`find`](Self::find).
    pub fn find_all(&self, pattern: &str) -> Vec<Function<'_>> {
        let pattern = Pattern::new(pattern);
        self.functions()
            .filter(|one| pattern.matches(&Name::new(one.name)))
            .collect()
    }

    /// The addresses of a place in a function, in the file, ascending.
    ///
    /// # Errors
    ///
    /// [`SymbolError::Code`] if the function's code cannot be decoded, or if
    /// it has no RET. One that leaves by jumps as well as by RET is no error:
    /// [`returns`](Self::returns) tells.
    pub fn addresses(&self, function: Function<'_>, point: Point) -> Result<Vec<u64>, SymbolError> {
        if point == Point::Entry {
            return Ok(vec![function.entry]);
        }
        let returns = self.returns(function)?;
        if returns.at.is_empty() {
            let what = match returns.tail_jumps.first() {
                Some(at) => format!("it has no RET, but leaves by a jump at {at:#x}"),
                None => "it has no RET: it never returns".to_owned(),
            };
            return Err(self.code_error(function, what));
        }
        Ok(returns.at)
    }

    /// Where a function returns.
    ///
    /// # Errors
    ///
    /// [`SymbolError::Code`] if its code cannot be decoded.
    pub fn returns(&self, function: Function<'_>) -> Result<Returns, SymbolError> {
        let all = self.decode(function)?;
        Ok(code::returns(&all, function.entry, function.end))
    }

    fn decode(&self, function: Function<'_>) -> Result<Vec<iced_x86::Instruction>, SymbolError> {
        let code = usize::try_from(function.end.saturating_sub(function.entry))
            .ok()
            .and_then(|len| self.image.at(function.entry, len));
        let code =
            code.ok_or_else(|| self.code_error(function, "its code is not in the file".into()))?;
        code::decode(code, function.entry).map_err(|at| {
            self.code_error(function, format!("the bytes at {at:#x} are no instruction"))
        })
    }

    fn code_error(&self, function: Function<'_>, what: String) -> SymbolError {
        SymbolError::Code {
            path: self.path.clone(),
            function: function.name.to_owned(),
            what,
        }
    }

    /// What to add to an address of this binary to get that in a process which
    /// runs it: 0 unless it is position-independent. Waits for a process that
    /// is in the middle of exec, 2 s at most: its code is mapped then.
    ///
    /// # Errors
    ///
    /// [`SymbolError::OtherBinary`] if the process runs another file (by
    /// device and inode), or one that has been replaced since;
    /// [`SymbolError::Process`] if there is no such process, or it may not be
    /// looked at.
    pub fn bias_in(&self, pid: i32) -> Result<u64, SymbolError> {
        process::bias(&self.image, &self.path, self.identity, pid)
    }

    /// Whether callers use what a function returns: if not, it can be skipped.
    /// See [`ResultUse`].
    ///
    /// # Errors
    ///
    /// [`SymbolError::Code`] if the code of a caller cannot be decoded.
    pub fn results_read(&self, function: Function<'_>) -> Result<ResultUse, SymbolError> {
        let mut one = self.results_read_of(&[function])?;
        Ok(one.pop().unwrap_or(ResultUse::Unknown))
    }

    /// [`results_read`](Self::results_read) of several functions, for the price
    /// of one scan of the code.
    ///
    /// # Errors
    ///
    /// As `results_read`.
    pub fn results_read_of(
        &self,
        functions: &[Function<'_>],
    ) -> Result<Vec<ResultUse>, SymbolError> {
        let calls = results::Calls::scan(self);
        functions.iter().map(|one| calls.judge(*one)).collect()
    }
}
