//! Where a function's results are, and what an instruction does to them.
//!
//! Source: Go's `src/cmd/compile/abi-internal.md`: registers since Go 1.17, and
//! the caller's stack for what does not fit them; before, the stack alone.

use iced_x86::{
    Instruction, InstructionInfo, Mnemonic, OpAccess, OpKind, Register, UsedMemory, UsedRegister,
};

/// Places of results that were neither read nor written yet, a bit each: the
/// registers, then slots of 8 bytes from the stack pointer up.
pub(super) type Places = u64;

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
const FIRST_SLOT: usize = INTEGERS.len() + FLOATS;
/// Slots that are followed. A larger result is read from its front.
const SLOTS: u64 = 64 - FIRST_SLOT as u64;

/// All registers.
pub(super) const REGISTERS: Places = (1 << FIRST_SLOT) - 1;
/// The registers of a first result.
pub(super) const FIRST: Places = 1 | 1 << INTEGERS.len();

/// Where the results of one function can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convention {
    pub(super) in_registers: bool,
    /// Bytes of its arguments and results on the stack.
    pub(super) stack: u64,
}

impl Convention {
    pub(super) fn places(self) -> Places {
        let registers = if self.in_registers { REGISTERS } else { 0 };
        let slots = self.stack.div_ceil(8).min(SLOTS);
        registers | (((1_u128 << slots) - 1) << FIRST_SLOT) as Places
    }

    /// What an instruction does to the places.
    pub(super) fn touched(self, one: &Instruction, info: &InstructionInfo) -> Touched {
        let mut touched = slots(one, info.used_memory(), self.stack);
        if self.in_registers {
            registers(one, info.used_registers(), &mut touched);
        }
        touched
    }
}

/// What an instruction does to places.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) read: Places,
    pub(super) written: Places,
    /// It takes a slot's address.
    pub(super) unclear: bool,
}

pub(super) fn bit(register: Register) -> Places {
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

fn registers(one: &Instruction, used: &[UsedRegister], touched: &mut Touched) {
    let first = || bit(one.op0_register());
    match one.mnemonic() {
        // Only whether the address can be read matters: Go checks for nil so.
        Mnemonic::Test if one.op0_kind() == OpKind::Memory => {
            let address = [one.memory_base(), one.memory_index()];
            touched.read |= address.into_iter().map(bit).fold(0, |all, one| all | one);
            return;
        }
        // All bits are the carry's.
        Mnemonic::Sbb
            if one.op1_kind() == OpKind::Register && one.op0_register() == one.op1_register() =>
        {
            touched.written |= first();
            return;
        }
        // Undefined for 0, which Go replaces by a conditional move.
        Mnemonic::Bsr | Mnemonic::Bsf => {
            for used in used.iter().filter(|used| used.access() == OpAccess::Read) {
                touched.read |= bit(used.register());
            }
            touched.written |= first();
            return;
        }
        _ => {}
    }
    for one in used {
        let place = bit(one.register());
        match one.access() {
            OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                touched.read |= place;
            }
            // A write of 8 bits, as of SETcc, leaves the rest; but no result
            // is read in parts.
            OpAccess::Write => touched.written |= place,
            _ => {}
        }
    }
}

/// Slots of 8 bytes from the stack pointer up, below the callee's `bytes`.
fn slots(one: &Instruction, used: &[UsedMemory], bytes: u64) -> Touched {
    let mut touched = Touched::default();
    if one.is_stack_instruction() {
        // What RET, CALL, PUSH and POP touch is no result, and the frame moves
        // under the last two.
        if matches!(one.mnemonic(), Mnemonic::Push | Mnemonic::Pop) {
            touched.written = !REGISTERS;
        }
        return touched;
    }
    let is_slot = |base, index, at: u64| {
        base == Register::RSP && index == Register::None && at < bytes.min(8 * SLOTS)
    };
    for memory in used {
        let at = memory.displacement();
        if !is_slot(memory.base(), memory.index(), at) {
            continue;
        }
        let size = memory.memory_size().size().max(1) as u64;
        let first = at / 8;
        let last = ((at + size - 1) / 8).min(SLOTS - 1);
        let places = (Places::MAX >> (63 - (last - first))) << (FIRST_SLOT as u64 + first);
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
    // mov rcx, rsp: so are large results copied.
    let register = |kind, register| kind == OpKind::Register && register == Register::RSP;
    if one.mnemonic() == Mnemonic::Mov
        && register(one.op1_kind(), one.op1_register())
        && one.op0_register() != Register::RBP
    {
        touched.unclear = true;
    }
    // The frame is being left.
    if matches!(one.mnemonic(), Mnemonic::Add | Mnemonic::Sub)
        && register(one.op0_kind(), one.op0_register())
    {
        touched.written = !REGISTERS;
    }
    touched
}

/// The registers that a write barrier of a kind reads: until Go 1.20 the value
/// and where it goes, since then none (`runtime/asm_amd64.s`).
pub(super) fn write_barrier(kind: &str) -> Places {
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
