//! Where a Go function checks whether its stack is large enough.
//!
//! The check is the function's first instructions: the stack pointer, or what
//! it will become, is compared with the goroutine's guard, and a conditional
//! jump leads to a call of `morestack` that ends in a jump back to the entry.
//! That jump back tells the check from any other comparison.
//!
//! Source: Go's `cmd/internal/obj/x86/obj6.go`, `stacksplit`.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// Bytes of a function's start that are looked at.
const START: usize = 96;
/// Instructions of it.
const INSTRUCTIONS: usize = 14;
/// Bytes of the block that calls `morestack`: it also saves and restores the
/// registers that hold arguments.
const BLOCK: usize = 320;

/// The check at one function's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StackCheck {
    /// The first instruction after it.
    pub(super) end: u64,
    /// Where it jumps when the stack is too small.
    pub(super) grows: Vec<u64>,
    /// Where the goroutine's address is at the entry.
    pub(super) goroutine: Goroutine,
}

/// Where the goroutine's address is at a function's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goroutine {
    /// Go 1.17 and newer.
    R14,
    /// Before: thread-local storage, at this distance from the FS base.
    Local(u64),
}

/// Finds the check; none if the function has none, or is not Go's.
///
/// `read` fills a buffer from an address and says how many bytes there were.
pub(super) fn stack_check(
    read: impl Fn(u64, &mut [u8]) -> usize,
    entry: u64,
) -> Option<StackCheck> {
    let mut bytes = [0; START];
    let length = read(entry, &mut bytes).min(START);
    let mut decoder = Decoder::with_ip(64, &bytes[..length], entry, DecoderOptions::NONE);
    let mut found: Option<StackCheck> = None;
    let mut goroutine = None;
    let mut instruction = Instruction::default();
    for _ in 0..INSTRUCTIONS {
        if !decoder.can_decode() {
            break;
        }
        decoder.decode_out(&mut instruction);
        match instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Lea | Mnemonic::Cmp | Mnemonic::Sub | Mnemonic::Nop => {
                if writes_memory_or_stack_pointer(&instruction) {
                    break;
                }
                goroutine = goroutine.or_else(|| goroutine_of(&instruction));
            }
            _ if instruction.flow_control() == FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target();
                if target <= entry || !leads_back(&read, target, entry) {
                    break;
                }
                let end = instruction.next_ip();
                let check = found.get_or_insert(StackCheck {
                    end,
                    grows: Vec::new(),
                    goroutine: goroutine?,
                });
                check.end = end;
                if !check.grows.contains(&target) {
                    check.grows.push(target);
                }
            }
            _ => break,
        }
    }
    found
}

fn writes_memory_or_stack_pointer(instruction: &Instruction) -> bool {
    instruction.mnemonic() != Mnemonic::Cmp
        && (instruction.op0_kind() == OpKind::Memory || instruction.op0_register() == Register::RSP)
}

fn goroutine_of(instruction: &Instruction) -> Option<Goroutine> {
    let memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
    if !memory || instruction.mnemonic() == Mnemonic::Lea {
        return None;
    }
    if instruction.memory_base() == Register::R14 {
        return Some(Goroutine::R14);
    }
    (instruction.segment_prefix() == Register::FS && instruction.memory_base() == Register::None)
        .then(|| Goroutine::Local(instruction.memory_displacement64()))
}

/// Whether this block calls something and then jumps to the entry.
fn leads_back(read: &impl Fn(u64, &mut [u8]) -> usize, block: u64, entry: u64) -> bool {
    let mut bytes = [0; BLOCK];
    let length = read(block, &mut bytes).min(BLOCK);
    let mut called = false;
    for instruction in Decoder::with_ip(64, &bytes[..length], block, DecoderOptions::NONE).iter() {
        match instruction.flow_control() {
            FlowControl::Next => {}
            FlowControl::Call => called = true,
            FlowControl::UnconditionalBranch => {
                return called && instruction.near_branch_target() == entry;
            }
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: u64 = 0x40_1000;

    fn check(code: &[u8]) -> Option<StackCheck> {
        let read = |address: u64, buffer: &mut [u8]| {
            let from = usize::try_from(address - ENTRY).unwrap().min(code.len());
            let length = buffer.len().min(code.len() - from);
            buffer[..length].copy_from_slice(&code[from..from + length]);
            length
        };
        stack_check(read, ENTRY)
    }

    /// `call` somewhere, `jmp` back to the start of `code`.
    fn grow(mut code: Vec<u8>) -> Vec<u8> {
        code.extend([0xe8, 0, 0, 0, 0, 0xe9]);
        let next = i32::try_from(code.len() + 4).unwrap();
        code.extend((-next).to_le_bytes());
        code
    }

    #[test]
    fn new_go_keeps_the_goroutine_in_r14() {
        // cmp rsp, [r14+16]; jbe +5; push rbp; mov rbp, rsp; ret
        let start = [
            0x49, 0x3b, 0x66, 0x10, 0x76, 5, 0x55, 0x48, 0x89, 0xe5, 0xc3,
        ];
        let found = check(&grow(start.to_vec())).unwrap();
        assert_eq!(found.end, ENTRY + 6);
        assert_eq!(found.grows, [ENTRY + 11]);
        assert_eq!(found.goroutine, Goroutine::R14);
    }

    #[test]
    fn larger_frames_compare_what_the_stack_pointer_becomes() {
        // lea r12, [rsp-0x100]; cmp r12, [r14+16]; jbe +1; ret
        let start = [
            0x4c, 0x8d, 0xa4, 0x24, 0, 0xff, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x76, 1, 0xc3,
        ];
        let found = check(&grow(start.to_vec())).unwrap();
        assert_eq!(found.end, ENTRY + 14);
        assert_eq!(found.goroutine, Goroutine::R14);
    }

    #[test]
    fn old_go_keeps_it_in_thread_local_storage() {
        // mov rcx, fs:[-8]; cmp rsp, [rcx+16]; jbe +1; ret
        let start = [
            0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x3b, 0x61, 0x10, 0x76, 1,
            0xc3,
        ];
        let found = check(&grow(start.to_vec())).unwrap();
        assert_eq!(found.end, ENTRY + 15);
        assert_eq!(found.goroutine, Goroutine::Local(-8_i64 as u64));
    }

    #[test]
    fn other_functions_have_none() {
        // push rbp; mov rbp, rsp; ret
        assert_eq!(check(&[0x55, 0x48, 0x89, 0xe5, 0xc3]), None);
        // The comparison's jump does not lead back to the entry.
        let start = [
            0x49, 0x3b, 0x66, 0x10, 0x76, 1, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3,
        ];
        assert_eq!(check(&start), None);
        // It does, but nothing is called: a loop.
        let start = [0x49, 0x3b, 0x66, 0x10, 0x76, 1, 0xc3, 0xeb, 0xf7];
        assert_eq!(check(&start), None);
        assert_eq!(check(&[]), None);
    }

    #[test]
    fn no_bytes_whatever_make_it_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let starts: [&[u8]; 3] = [&[], &[0x49, 0x3b, 0x66, 0x10], &[0x64, 0x48, 0x8b]];
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        for round in 0..rounds {
            let mut code = starts[round % starts.len()].to_vec();
            code.extend((0..next() % 48).flat_map(|_| next().to_le_bytes()));
            if let Some(found) = check(&code) {
                assert!(found.end > ENTRY && !found.grows.is_empty());
            }
        }
    }
}
