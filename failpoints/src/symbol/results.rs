//! Whether what a function returns is used, as its callers' code shows.
//!
//! Go's binaries do not say whether a function has results. But where it is
//! called, a result is read before its place is written anew. The places are
//! registers since Go 1.17 (Go's `src/cmd/compile/abi-internal.md`), and
//! before that the caller's stack, above the arguments.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::code::target;
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

/// Places of results that were neither read nor written yet, a bit each.
type Places = u64;

/// The integer registers of results, in Go's order; then come X0 to X14.
const INTEGERS: [Register; 9] = [
    Register::RAX,
    Register::RBX,
    Register::RCX,
    Register::RDI,
    Register::RSI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];
const FLOATS: usize = 15;
const FIRST: Places = 1 | 1 << INTEGERS.len();

/// The instructions looked at after one call, at most.
const STEPS: usize = 20_000;
/// How many callers up a result is followed that is handed on.
const DEPTH: usize = 4;
/// Decoded functions that are kept.
const KEPT: usize = 256;

/// Where a walk is, and what its end means.
#[derive(Clone, Copy)]
struct Walk {
    /// Bytes of the callee's arguments and results on the stack; none if its
    /// results are in registers.
    stack: Option<u64>,
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
        }
    }

    pub(super) fn judge(&self, function: Function<'_>) -> Result<ResultUse, SymbolError> {
        let entry = self.entry(function.entry).ok_or_else(|| {
            let what = "no function of this binary begins at its address".to_owned();
            self.symbols.code_error(function, what)
        })?;
        let sites = self.sites(entry);
        let stack = match (self.in_registers, u64::try_from(entry.args)) {
            (true, _) => None,
            (false, Err(_)) => return Ok(ResultUse::Unknown),
            // It takes nothing and returns nothing.
            (false, Ok(0)) => {
                return Ok(ResultUse::Unused {
                    call_sites: sites.len(),
                });
            }
            (false, Ok(bytes)) => Some(bytes),
        };
        let walk = Walk {
            stack,
            callers: true,
            depth: 0,
        };
        let mut at = Vec::new();
        let mut all = !sites.is_empty() && self.all_known(entry);
        for (caller, index) in &sites {
            match self.walk(caller, index + 1, self.places(stack), walk) {
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

    fn places(&self, stack: Option<u64>) -> Places {
        let count = match stack {
            None => (INTEGERS.len() + FLOATS) as u64,
            Some(bytes) => bytes.div_ceil(8).min(64),
        };
        Places::MAX >> (64 - count)
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
        let mut steps = 0;
        while let Some((index, mut places)) = open.pop() {
            let before = seen.entry(index).or_default();
            if places & !*before == 0 {
                continue;
            }
            *before |= places;
            steps += 1;
            let Some(one) = all.get(index).filter(|_| steps <= STEPS) else {
                return result.or(After::Unclear);
            };
            let info = infos.info(one);
            let touched = match walk.stack {
                None => registers(info.used_registers()),
                Some(bytes) => slots(one, info.used_memory(), bytes),
            };
            if touched.read & places != 0 {
                return After::Read(one.ip());
            }
            if touched.unclear {
                result = result.or(After::Unclear);
            }
            places &= !touched.written;
            if places == 0 || touched.end {
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
                    if walk.callers && walk.stack.is_none() && places & FIRST == FIRST {
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
                FlowControl::Return if walk.callers && walk.stack.is_none() => {
                    let after = self.handed_on(function, places, walk);
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
            if walk.stack.is_none() {
                let read = write_barrier(kind);
                if read & *places != 0 {
                    return Some(After::Read(one.ip()));
                }
                *places &= !bit(Register::R11);
            }
            return None;
        }
        if name.starts_with("runtime.morestack") || name.starts_with("runtime.duff") {
            return None;
        }
        if name.starts_with("runtime.panic") || walk.stack.is_some() || !walk.callers {
            return Some(After::Unread);
        }
        let into = Walk {
            callers: false,
            ..walk
        };
        Some(match callee {
            // As an argument: the callee reads it before it writes it.
            Some(entry) => self.walk(entry, 0, *places, into),
            None => After::Unclear,
        })
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
    }
}

/// What an instruction does to places.
#[derive(Default)]
struct Touched {
    read: Places,
    written: Places,
    /// It takes a place's address.
    unclear: bool,
    /// The places are gone behind it.
    end: bool,
}

fn bit(register: Register) -> Places {
    let full = register.full_register();
    if register.is_vector_register() {
        return match register.number() {
            number if number < FLOATS => 1 << (INTEGERS.len() + number),
            _ => 0,
        };
    }
    let index = INTEGERS.iter().position(|one| *one == full);
    index.map_or(0, |index| 1 << index)
}

fn registers(used: &[iced_x86::UsedRegister]) -> Touched {
    let mut touched = Touched::default();
    for one in used {
        let place = bit(one.register());
        match one.access() {
            OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                touched.read |= place;
            }
            // A write of 8 or 16 bits leaves the rest.
            OpAccess::Write if one.register().size() >= 4 => touched.written |= place,
            _ => {}
        }
    }
    touched
}

/// Slots of 8 bytes from the stack pointer up, below the callee's `bytes`.
fn slots(one: &Instruction, used: &[iced_x86::UsedMemory], bytes: u64) -> Touched {
    let mut touched = Touched::default();
    if one.is_stack_instruction() {
        // What RET, CALL, PUSH and POP touch is no result, and the frame moves
        // under the last two.
        touched.end = matches!(one.mnemonic(), Mnemonic::Push | Mnemonic::Pop);
        return touched;
    }
    let is_slot = |base, index, at: u64| {
        base == Register::RSP && index == Register::None && at < bytes.min(512)
    };
    for memory in used {
        let at = memory.displacement();
        if !is_slot(memory.base(), memory.index(), at) {
            continue;
        }
        let size = memory.memory_size().size().max(1) as u64;
        let first = at / 8;
        let last = ((at + size - 1) / 8).min(63);
        let places = (Places::MAX >> (63 - (last - first))) << first;
        match memory.access() {
            OpAccess::Write if size >= 8 => touched.written |= places,
            OpAccess::Write | OpAccess::CondWrite => {}
            _ => touched.read |= places,
        }
    }
    if one.mnemonic() == Mnemonic::Lea {
        let at = one.memory_displacement64();
        touched.unclear = is_slot(one.memory_base(), one.memory_index(), at);
    }
    // The frame is being left.
    touched.end = matches!(one.mnemonic(), Mnemonic::Add | Mnemonic::Sub)
        && one.op0_kind() == OpKind::Register
        && one.op0_register() == Register::RSP;
    touched
}

/// The registers that a write barrier of a kind reads: until Go 1.20 the value
/// and where it goes, since then none (`runtime/asm_amd64.s`).
fn write_barrier(kind: &str) -> Places {
    let value = match kind {
        "" => Register::RAX,
        "BX" => Register::RBX,
        "CX" => Register::RCX,
        "SI" => Register::RSI,
        "R8" => Register::R8,
        "R9" => Register::R9,
        _ if kind.starts_with(|one: char| one.is_ascii_digit()) => return 0,
        _ => return bit(Register::RDI),
    };
    bit(value) | bit(Register::RDI)
}
