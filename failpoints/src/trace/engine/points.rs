//! Where breakpoints are, and of which kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::frames::Memory;
use super::prologue::{StackCheck, stack_check};
use crate::trace::ArmId;
use crate::trace::wire::Planted;

/// Debug registers that hold an address.
pub(super) const REGISTERS: usize = 4;
const INT3: u8 = 0xcc;
/// First bytes of near returns.
const RETURNS: [u8; 2] = [0xc2, 0xc3];

/// The traced process's memory, as a file. It belongs to the program that ran
/// when it was opened, not to one executed later.
pub(super) struct MemoryFile(Option<File>);

impl MemoryFile {
    /// Has nothing.
    pub(super) fn closed() -> Self {
        Self(None)
    }

    pub(super) fn open(pid: i32) -> io::Result<Self> {
        let path = format!("/proc/{pid}/mem");
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self(Some(file)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Writes to read-only pages too, as ptrace(2) does.
    fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        file.write_all_at(bytes, address)
    }
}

impl Memory for MemoryFile {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let Some(file) = &self.0 else {
            return 0;
        };
        let mut done = 0;
        while done < buffer.len() {
            match file.read_at(&mut buffer[done..], address + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The debug register with this number.
    Register(usize),
    /// An `int3` in place of this byte.
    Byte(u8),
}

#[derive(Debug)]
struct Place {
    kind: Kind,
    /// The stack pointer points at a return address: at an entry or a return.
    at_boundary: bool,
    check: Option<StackCheck>,
    arms: BTreeSet<ArmId>,
}

/// Every address with a breakpoint.
#[derive(Debug, Default)]
pub(super) struct Points {
    places: BTreeMap<u64, Place>,
    /// `int3`s taken away; a thread may have hit one and not told yet.
    removed: BTreeSet<u64>,
    /// Use no debug registers.
    software: bool,
}

impl Points {
    pub(super) fn new(software: bool) -> Self {
        Self {
            software,
            ..Self::default()
        }
    }

    /// Puts a breakpoint at each address. All or none.
    pub(super) fn add(
        &mut self,
        arm: ArmId,
        addresses: &[u64],
        entry: bool,
        memory: &MemoryFile,
    ) -> Result<(), String> {
        for &address in addresses {
            if let Err(reason) = self.add_one(arm, address, entry, memory) {
                self.remove(arm, memory);
                return Err(reason);
            }
        }
        Ok(())
    }

    fn add_one(
        &mut self,
        arm: ArmId,
        address: u64,
        entry: bool,
        memory: &MemoryFile,
    ) -> Result<(), String> {
        let mut byte = [0];
        if memory.read(address, &mut byte) != 1 {
            return Err(format!("nothing is mapped at {address:#x}"));
        }
        let check = match entry {
            true => check_at(&self.places, memory, address),
            false => None,
        };
        if let Some(place) = self.places.get_mut(&address) {
            place.arms.insert(arm);
            place.at_boundary |= entry;
            place.check = place.check.take().or(check);
            return Ok(());
        }
        let free = (0..REGISTERS).find(|n| self.registers()[*n].is_none());
        let kind = match free {
            Some(register) if !self.software => Kind::Register(register),
            _ => {
                memory
                    .write(address, &[INT3])
                    .map_err(|e| format!("cannot write a breakpoint at {address:#x}: {e}"))?;
                self.removed.remove(&address);
                Kind::Byte(byte[0])
            }
        };
        let arms = BTreeSet::from([arm]);
        let place = Place {
            kind,
            at_boundary: entry || RETURNS.contains(&byte[0]),
            check,
            arms,
        };
        self.places.insert(address, place);
        Ok(())
    }

    /// Takes away what only this arm needs.
    pub(super) fn remove(&mut self, arm: ArmId, memory: &MemoryFile) {
        let removed = &mut self.removed;
        self.places.retain(|&address, place| {
            place.arms.remove(&arm);
            if !place.arms.is_empty() {
                return true;
            }
            if let Kind::Byte(byte) = place.kind {
                // It fails only if the process is gone.
                let _ = memory.write(address, &[byte]);
                removed.insert(address);
            }
            false
        });
    }

    /// Every `int3`, with the byte under it.
    pub(super) fn planted(&self) -> Planted {
        let bytes = self
            .places
            .iter()
            .filter_map(|(at, place)| match place.kind {
                Kind::Byte(byte) => Some((*at, byte)),
                Kind::Register(_) => None,
            });
        bytes.collect()
    }

    /// Puts bytes back that another tracer left covered.
    pub(super) fn uncover(&mut self, planted: Planted, memory: &MemoryFile) {
        for (address, byte) in planted {
            let mut found = [0];
            if memory.read(address, &mut found) == 1 && found == [INT3] {
                let _ = memory.write(address, &[byte]);
            }
            self.removed.insert(address);
        }
    }

    /// The memory is gone, or no thread is traced any more.
    pub(super) fn forget(&mut self) {
        self.places.clear();
        self.removed.clear();
    }

    pub(super) fn registers(&self) -> [Option<u64>; REGISTERS] {
        let mut registers = [None; REGISTERS];
        for (&address, place) in &self.places {
            if let Kind::Register(n) = place.kind {
                registers[n] = Some(address);
            }
        }
        registers
    }

    pub(super) fn kind(&self, address: u64) -> Option<Kind> {
        self.places.get(&address).map(|place| place.kind)
    }

    /// Whether an `int3` is or was here.
    pub(super) fn is_ours(&self, address: u64) -> bool {
        matches!(self.kind(address), Some(Kind::Byte(_))) || self.removed.contains(&address)
    }

    pub(super) fn is_at_boundary(&self, address: u64) -> bool {
        let place = self.places.get(&address);
        place.is_some_and(|place| place.at_boundary)
    }

    /// Moves every breakpoint from registers to memory, for good.
    pub(super) fn use_memory(&mut self, memory: &MemoryFile) {
        self.software = true;
        for (&address, place) in &mut self.places {
            let mut byte = [0];
            if matches!(place.kind, Kind::Register(_)) && memory.read(address, &mut byte) == 1 {
                // It fails only if the process is gone.
                let _ = memory.write(address, &[INT3]);
                place.kind = Kind::Byte(byte[0]);
            }
        }
    }

    pub(super) fn check(&self, address: u64) -> Option<&StackCheck> {
        self.places.get(&address)?.check.as_ref()
    }

    pub(super) fn arms(&self, address: u64) -> Vec<ArmId> {
        let place = self.places.get(&address);
        place.map_or(Vec::new(), |place| place.arms.iter().copied().collect())
    }

    /// Puts the byte back under an `int3`, or the `int3` over it.
    pub(super) fn show(&self, address: u64, original: bool, memory: &MemoryFile) {
        if let Some(Kind::Byte(byte)) = self.kind(address) {
            let _ = memory.write(address, &[if original { byte } else { INT3 }]);
        }
    }
}

/// The stack check, read past the breakpoints that are there already.
fn check_at(
    places: &BTreeMap<u64, Place>,
    memory: &MemoryFile,
    address: u64,
) -> Option<StackCheck> {
    let read = |from: u64, buffer: &mut [u8]| {
        let length = memory.read(from, buffer);
        for (at, place) in places.range(from..from + length as u64) {
            if let Kind::Byte(byte) = place.kind {
                buffer[(at - from) as usize] = byte;
            }
        }
        length
    };
    stack_check(read, address)
}
