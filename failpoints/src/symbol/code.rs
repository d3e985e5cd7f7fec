//! The instructions of a function.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};

/// Where a function hands back control.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Each RET instruction, ascending.
    pub at: Vec<u64>,
    /// Jumps to code outside the function. It ends there too, and a breakpoint
    /// on the returns does not see it. Go has them in method wrappers and in
    /// assembly.
    pub tail_jumps: Vec<u64>,
}

/// All instructions, in order.
///
/// # Errors
///
/// The address of the first bytes that are none: what follows them could be
/// decoded out of step, and a breakpoint there would break the program.
pub(super) fn decode(code: &[u8], entry: u64) -> Result<Vec<Instruction>, u64> {
    let mut decoder = Decoder::with_ip(64, code, entry, DecoderOptions::NONE);
    // Go's mean is above 4 bytes.
    let mut all = Vec::with_capacity(code.len() / 4 + 1);
    while decoder.can_decode() {
        let one = decoder.decode();
        if one.code() == Code::INVALID {
            return Err(one.ip());
        }
        all.push(one);
    }
    Ok(all)
}

/// The target of a call or jump that has it in the instruction.
pub(super) fn target(one: &Instruction) -> Option<u64> {
    let direct = matches!(
        one.flow_control(),
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    (direct && one.op0_kind() == iced_x86::OpKind::NearBranch64).then(|| one.near_branch_target())
}

pub(super) fn returns(all: &[Instruction], entry: u64, end: u64) -> Returns {
    let mut found = Returns::default();
    for one in all {
        match one.flow_control() {
            FlowControl::Return if one.mnemonic() == Mnemonic::Ret => found.at.push(one.ip()),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                if target(one).is_some_and(|to| !(entry..end).contains(&to)) =>
            {
                found.tail_jumps.push(one.ip());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ret_and_every_jump_outside_is_found() {
        // je +1; ret; jmp -16 (outside); ret 8; int3; a RET byte inside mov.
        let code = [
            0x74, 0x01, 0xc3, 0xe9, 0xf0, 0xff, 0xff, 0xff, 0xc2, 8, 0, 0xcc, 0xb8, 0xc3, 0xc3,
            0xc3, 0xc3, 0xc3,
        ];
        let all = decode(&code, 0x1000).unwrap();
        let end = 0x1000 + code.len() as u64;
        let found = returns(&all, 0x1000, end);
        assert_eq!(found.at, [0x1002, 0x1008, 0x1011]);
        assert_eq!(found.tail_jumps, [0x1003]);
    }

    #[test]
    fn bytes_that_are_no_code_are_named() {
        assert_eq!(decode(&[0x90, 0x06, 0xc3], 0x1000).unwrap_err(), 0x1001);
        assert_eq!(decode(&[0x90, 0xe8, 0], 0x1000).unwrap_err(), 0x1001);
    }
}
