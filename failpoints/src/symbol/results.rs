//! Whether what a function returns is used, as its callers' code shows.
//!
//! Go's binaries do not say whether a function has results. But where it is
//! called, a result is read before its place is written anew. The places are
//! registers since Go 1.17 (Go's `src/cmd/compile/abi-internal.md`), and
//! before that the caller's stack, above the arguments.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Register};

use super::code::target;
use super::places::{Convention, FIRST, Places, REGISTERS, bit, write_barrier};
use super::table::Entry;
use super::{Function, SymbolError, Symbols};

/// What a function's callers do with its results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultUse {
    /// No caller reads any, and all callers are known: the function can be
    /// skipped with nothing returned.
    Unused {
        /// How many calls there are in the binary.
        call_sites: usize,
    },
    /// A caller reads a result: to skip the function, one has to be given.
    Used {
        /// The instructions that read one first, ascending.
        at: Vec<u64>,
    },
    /// Not to be told: it is called through pointers (methods through
    /// interfaces), or not at all, or the result may be handed on to such a
    /// place.
    Unknown,
}

/// What happens to results after one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Unread,
    Unclear,
    Read(u64),
}

impl After {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Read(at), _) | (_, Self::Read(at)) => Self::Read(at),
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            _ => Self::Unread,
        }
    }
}

/// The instructions looked at for one function, at most.
const STEPS: usize = 1_000_000;
/// How many callers up a result is followed that is handed on.
const DEPTH: usize = 4;
/// Decoded functions that are kept.
const KEPT: usize = 2048;

/// A function that gets places handed: as arguments (no depth), or back from it
/// to its callers (at a depth).
type Handed = (u64, Places, Option<usize>);

/// Where a walk is, and what its end means.
#[derive(Clone, Copy)]
struct Walk {
    results: Convention,
    /// Whether a RET hands the places to callers; else it is the end.
    callers: bool,
    depth: usize,
}

/// All direct calls of a binary.
pub(super) struct Calls<'a> {
    symbols: &'a Symbols,
    /// Where each address is called from; unverified, by the bytes alone.
    from: HashMap<u64, Vec<u64>>,
    /// Where each address is jumped to from other functions.
    jumps: HashSet<u64>,
    /// Functions that something points to.
    pointed_to: HashSet<u64>,
    in_registers: bool,
    decoded: RefCell<HashMap<u64, Rc<Vec<Instruction>>>>,
    found: RefCell<HashMap<Handed, After>>,
    /// The steps left of [`STEPS`].
    left: Cell<usize>,
}

impl<'a> Calls<'a> {
    pub(super) fn scan(symbols: &'a Symbols) -> Self {
        let (mut from, mut jumps) = (HashMap::<u64, Vec<u64>>::new(), HashSet::new());
        let entries = &symbols.table.entries;
        let known: HashSet<u64> = entries.iter().map(|one| one.entry).collect();
        let mut by_register = 0;
        for entry in entries {
            let len = (entry.end - entry.entry) as usize;
            let code = symbols.image.at(entry.entry, len).unwrap_or_default();
            // cmp rsp, [r14+16]: the goroutine is in a register since Go 1.17.
            by_register += usize::from(code.starts_with(&[0x49, 0x3b, 0x66, 0x10]));
            for (at, bytes) in code.windows(5).enumerate() {
                if bytes[0] & 0xfe != 0xe8 {
                    continue;
                }
                let offset = i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
                let ip = entry.entry + at as u64;
                let to = (ip + 5).wrapping_add_signed(offset.into());
                if !known.contains(&to) {
                    continue;
                }
                if bytes[0] == 0xe8 {
                    from.entry(to).or_default().push(ip);
                } else if to != entry.entry {
                    jumps.insert(to);
                }
            }
        }
        Self {
            symbols,
            from,
            jumps,
            pointed_to: symbols.table.pointed_to(&symbols.image),
            in_registers: by_register > entries.len() / 20,
            decoded: RefCell::default(),
            found: RefCell::default(),
            left: Cell::default(),
        }
    }

    pub(super) fn judge(&self, function: Function<'_>) -> Result<ResultUse, SymbolError> {
        let entry = self.entry(function.entry).ok_or_else(|| {
            let what = "no function of this binary begins at its address".to_owned();
            self.symbols.code_error(function, what)
        })?;
        let sites = self.sites(entry);
        let stack = match (self.in_registers, u64::try_from(entry.args)) {
            (false, Err(_)) => return Ok(ResultUse::Unknown),
            // It takes nothing and returns nothing.
            (false, Ok(0)) => {
                return Ok(ResultUse::Unused {
                    call_sites: sites.len(),
                });
            }
            (_, stack) => stack.unwrap_or_default(),
        };
        let walk = Walk {
            results: Convention {
                in_registers: self.in_registers,
                stack,
            },
            callers: true,
            depth: 0,
        };
        self.left.set(STEPS);
        let mut at = Vec::new();
        let mut all = !sites.is_empty() && self.all_known(entry);
        for (caller, index) in &sites {
            match self.walk(caller, index + 1, walk.results.places(), walk) {
                After::Read(ip) => at.push(ip),
                After::Unclear => all = false,
                After::Unread => {}
            }
        }
        at.sort_unstable();
        at.dedup();
        Ok(match (at.is_empty(), all) {
            (false, _) => ResultUse::Used { at },
            (true, true) => ResultUse::Unused {
                call_sites: sites.len(),
            },
            (true, false) => ResultUse::Unknown,
        })
    }

    fn entry(&self, address: u64) -> Option<&'a Entry> {
        let entry = self.symbols.table.containing(address)?;
        (entry.entry == address).then_some(entry)
    }

    fn name(&self, entry: &Entry) -> &'a str {
        self.symbols.table.name(&self.symbols.image, entry)
    }

    fn decode(&self, entry: &Entry) -> Option<Rc<Vec<Instruction>>> {
        let mut decoded = self.decoded.borrow_mut();
        if let Some(all) = decoded.get(&entry.entry) {
            return Some(Rc::clone(all));
        }
        let all = Rc::new(self.symbols.decode(self.symbols.function(entry)).ok()?);
        if decoded.len() >= KEPT {
            decoded.clear();
        }
        decoded.insert(entry.entry, Rc::clone(&all));
        Some(all)
    }

    /// The calls of a function: caller, and index of the instruction in it.
    fn sites(&self, callee: &Entry) -> Vec<(&'a Entry, usize)> {
        let found = self.from.get(&callee.entry).into_iter().flatten();
        found
            .filter_map(|ip| {
                let caller = self.symbols.table.containing(*ip)?;
                let all = self.decode(caller)?;
                // Else the bytes are the middle of something else.
                let index = all.binary_search_by_key(ip, Instruction::ip).ok()?;
                (target(&all[index]) == Some(callee.entry)).then_some((caller, index))
            })
            .collect()
    }

    /// Whether a function is called directly only.
    fn all_known(&self, entry: &Entry) -> bool {
        !self.jumps.contains(&entry.entry) && !self.pointed_to.contains(&entry.entry)
    }

    /// Follows every way from an instruction until the places are read or
    /// written.
    fn walk(&self, function: &Entry, from: usize, places: Places, walk: Walk) -> After {
        let Some(all) = self.decode(function) else {
            return After::Unclear;
        };
        let mut infos = InstructionInfoFactory::new();
        let mut seen: HashMap<usize, Places> = HashMap::new();
        let mut open = vec![(from, places)];
        let mut result = After::Unread;
        while let Some((index, mut places)) = open.pop() {
            let before = seen.entry(index).or_default();
            if places & !*before == 0 {
                continue;
            }
            *before |= places;
            let Some(left) = self.left.get().checked_sub(1) else {
                return After::Unclear;
            };
            self.left.set(left);
            let Some(one) = all.get(index) else {
                result = result.or(After::Unclear);
                continue;
            };
            let touched = walk.results.touched(one, infos.info(one));
            if touched.read & places != 0 {
                return After::Read(one.ip());
            }
            if touched.unclear && places & !REGISTERS != 0 {
                result = result.or(After::Unclear);
            }
            places &= !touched.written;
            if places == 0 {
                continue;
            }
            let flow = one.flow_control();
            let local = |to: u64| all.binary_search_by_key(&to, Instruction::ip).ok();
            match flow {
                FlowControl::Call => match self.call(one, &mut places, walk) {
                    Some(After::Read(_)) => return After::Read(one.ip()),
                    Some(after) => result = result.or(after),
                    None => open.push((index + 1, places)),
                },
                FlowControl::IndirectCall => {
                    // A method's receiver, or a closure's first argument, has
                    // been written by now; unless it is the result.
                    if walk.callers && places & FIRST == FIRST {
                        result = result.or(After::Unclear);
                    }
                }
                FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                    match target(one).and_then(local) {
                        Some(to) => open.push((to, places)),
                        None => result = result.or(After::Unclear),
                    }
                    if flow == FlowControl::ConditionalBranch {
                        open.push((index + 1, places));
                    }
                }
                FlowControl::Return if walk.callers && places & REGISTERS != 0 => {
                    let after = self.handed_on(function, places & REGISTERS, walk);
                    if matches!(after, After::Read(_)) {
                        return after;
                    }
                    result = result.or(after);
                }
                FlowControl::Return | FlowControl::Interrupt | FlowControl::Exception => {}
                FlowControl::Next => open.push((index + 1, places)),
                _ => result = result.or(After::Unclear),
            }
        }
        result
    }

    /// What a direct call does with the places; none if the walk goes on behind
    /// it, with the places it leaves.
    fn call(&self, one: &Instruction, places: &mut Places, walk: Walk) -> Option<After> {
        let callee = target(one).and_then(|to| self.symbols.table.containing(to));
        let name = callee.map(|entry| self.name(entry)).unwrap_or_default();
        // These keep to no calling convention.
        if let Some(kind) = name.strip_prefix("runtime.gcWriteBarrier") {
            if write_barrier(kind) & *places != 0 {
                return Some(After::Read(one.ip()));
            }
            *places &= !bit(Register::R11);
            return None;
        }
        if name.starts_with("runtime.morestack") || name.starts_with("runtime.duff") {
            return None;
        }
        let registers = *places & REGISTERS;
        if name.starts_with("runtime.panic") || registers == 0 || !walk.callers {
            return Some(After::Unread);
        }
        let into = Walk {
            callers: false,
            ..walk
        };
        // As an argument: the callee reads it before it writes it.
        Some(callee.map_or(After::Unclear, |entry| {
            self.remembered((entry.entry, registers, None), || {
                self.walk(entry, 0, registers, into)
            })
        }))
    }

    fn remembered(&self, key: Handed, find: impl FnOnce() -> After) -> After {
        if let Some(found) = self.found.borrow().get(&key) {
            return *found;
        }
        let found = find();
        // What ended for want of steps may be told another time.
        if self.left.get() > 0 {
            self.found.borrow_mut().insert(key, found);
        }
        found
    }

    /// What the callers of a function do with places it returned untouched.
    fn handed_on(&self, function: &Entry, places: Places, walk: Walk) -> After {
        let name = self.name(function);
        if name.contains(".gowrap") || name.contains(".deferwrap") || name == "main.main" {
            return After::Unread;
        }
        if walk.depth >= DEPTH {
            return After::Unclear;
        }
        let deeper = Walk {
            depth: walk.depth + 1,
            ..walk
        };
        self.remembered((function.entry, places, Some(walk.depth)), || {
            let sites = self.sites(function);
            let mut result = match self.all_known(function) && !sites.is_empty() {
                true => After::Unread,
                false => After::Unclear,
            };
            for (caller, index) in sites {
                result = result.or(self.walk(caller, index + 1, places, deeper));
                if matches!(result, After::Read(_)) {
                    break;
                }
            }
            result
        })
    }
}
