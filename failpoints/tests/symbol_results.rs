//! Whether what a function returns is used, told from its callers' code.

// The other users of the fixture build binaries in other ways.
#[allow(dead_code)]
#[path = "symbol/fixture.rs"]
mod fixture;

use failpoints::symbol::{Layout, ResultUse, Symbols};
use fixture::{Binary, Op};

/// cmp rsp, [r14+16]: what functions begin with since Go 1.17.
const CHECK: Op = Op::Raw(&[0x49, 0x3b, 0x66, 0x10]);
const RET: Op = Op::Raw(&[0xc3]);

fn open(binary: &Binary) -> Symbols {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etcd");
    std::fs::write(&path, binary.build().bytes).unwrap();
    Symbols::open(&path).unwrap()
}

/// What skipping `main.f` would be, called by `main.caller` with this behind.
fn used(layout: Layout, behind: &[Op], pointed_to: bool) -> ResultUse {
    let mut caller = vec![CHECK, Op::Call("main.f")];
    caller.extend(behind.iter().cloned());
    let register = matches!(layout, Layout::Go118 | Layout::Go120);
    let first: &[Op] = if register { &[CHECK, RET] } else { &[RET] };
    if !register {
        caller.remove(0);
    }
    let functions: [(_, &[Op]); 7] = [
        (
            "main.main",
            &[
                Op::Call("main.caller"),
                Op::Raw(&[0x31, 0xc0]),
                Op::Call("main.none"),
                RET,
            ],
        ),
        ("main.caller", &caller),
        ("main.f", first),
        // Takes an argument: mov [rsp+8], rax.
        ("main.takes", &[Op::Raw(&[0x48, 0x89, 0x44, 0x24, 8]), RET]),
        // Takes none: xor eax, eax.
        ("main.none", &[Op::Raw(&[0x31, 0xc0]), RET]),
        ("runtime.gcWriteBarrier1", &[RET]),
        ("runtime.morestack", &[RET]),
    ];
    let mut binary = Binary::new(layout, &functions);
    if pointed_to {
        binary.pointed_to.push("main.f");
    }
    let symbols = open(&binary);
    symbols
        .results_read(symbols.find("main.f").unwrap())
        .unwrap()
}

#[test]
fn results_in_registers() {
    let used = |behind: &[Op]| used(Layout::Go120, behind, false);
    let unused = ResultUse::Unused { call_sites: 1 };
    // xor eax, eax, ebx, ecx; the rest stays as it is, and the caller's caller
    // calls something that takes nothing.
    let clear = Op::Raw(&[0x31, 0xc0, 0x31, 0xdb, 0x31, 0xc9]);
    assert_eq!(used(&[clear.clone(), RET]), unused);
    assert_eq!(used(&[Op::Call("main.none"), RET]), unused);
    // test rax, rax; mov rcx, rbx; movsd [rsp], xmm0.
    for (read, at) in [
        (&[0x48, 0x85, 0xc0][..], 9),
        (&[0x48, 0x89, 0xd9][..], 9),
        (&[0xf2, 0x0f, 0x11, 0x04, 0x24][..], 9),
        // xor eax, eax; test al, al; mov rcx, rbx
        (&[0x31, 0xc0, 0x84, 0xc0, 0x48, 0x89, 0xd9][..], 13),
        // je +2; xor eax, eax; test eax, eax: by one way only.
        (&[0x74, 2, 0x31, 0xc0, 0x85, 0xc0][..], 13),
    ] {
        let ResultUse::Used { at: found } = used(&[Op::Raw(read), RET]) else {
            panic!("{read:x?} is not seen");
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0] % 32, at, "{read:x?}");
    }
    // test [r12], al: not al, but the address is read. sete r8b; test r8b, r8b;
    // sbb rdi, rdi: what was there before does not matter.
    let nothing = Op::Raw(&[
        0x41, 0x84, 0x04, 0x24, 0x41, 0x0f, 0x94, 0xc0, 0x45, 0x84, 0xc0, 0x48, 0x19, 0xff,
    ]);
    assert_eq!(used(&[nothing, clear.clone(), RET]), unused);
    let address = Op::Raw(&[0x84, 0x00]);
    assert!(matches!(used(&[address, RET]), ResultUse::Used { .. }));
    // mov rax, [rsp+8]: a large result, on the stack; mov rcx, rsp: the same.
    let large = Op::Raw(&[0x48, 0x8b, 0x44, 0x24, 0x08]);
    assert!(matches!(used(&[large, RET]), ResultUse::Used { .. }));
    assert_eq!(
        used(&[Op::Raw(&[0x48, 0x89, 0xe1]), clear.clone(), RET]),
        ResultUse::Unknown
    );
    // As the next call's argument, and across a write barrier.
    assert!(matches!(
        used(&[Op::Call("main.takes"), RET]),
        ResultUse::Used { .. }
    ));
    let barrier = [
        Op::Call("runtime.gcWriteBarrier1"),
        Op::Raw(&[0x48, 0x85, 0xc0]),
        RET,
    ];
    assert!(matches!(used(&barrier), ResultUse::Used { .. }));
    // A closure might take it: call [rdx].
    assert_eq!(used(&[Op::Raw(&[0xff, 0x12]), RET]), ResultUse::Unknown);
}

#[test]
fn results_on_the_stack() {
    let used = |behind: &[Op]| used(Layout::Go116, behind, false);
    let unused = ResultUse::Unused { call_sites: 1 };
    assert_eq!(used(&[RET]), unused);
    // The area is 16 bytes. mov rax, [rsp+16]: a local.
    assert_eq!(
        used(&[Op::Raw(&[0x48, 0x8b, 0x44, 0x24, 0x10]), RET]),
        unused
    );
    // mov rax, [rsp+8]: the result.
    let read = Op::Raw(&[0x48, 0x8b, 0x44, 0x24, 0x08]);
    assert!(matches!(used(&[read.clone(), RET]), ResultUse::Used { .. }));
    // mov [rsp+8], rax first.
    let write = Op::Raw(&[0x48, 0x89, 0x44, 0x24, 0x08]);
    assert_eq!(used(&[write, read.clone(), RET]), unused);
    // add rsp, 8 first: another frame.
    assert_eq!(used(&[Op::Raw(&[0x48, 0x83, 0xc4, 8]), read, RET]), unused);
    // lea rdi, [rsp+8]: its address is taken.
    let lea = Op::Raw(&[0x48, 0x8d, 0x7c, 0x24, 0x08]);
    assert_eq!(used(&[lea, RET]), ResultUse::Unknown);
}

#[test]
fn what_is_called_through_pointers_is_unknown_unless_a_result_is_read() {
    let clear = Op::Raw(&[0x31, 0xc0, 0x31, 0xdb, 0x31, 0xc9]);
    assert_eq!(used(Layout::Go120, &[clear, RET], true), ResultUse::Unknown);
    assert_eq!(used(Layout::Go116, &[RET], true), ResultUse::Unknown);
    let read = Op::Raw(&[0x48, 0x85, 0xc0]);
    assert!(matches!(
        used(Layout::Go120, &[read, RET], true),
        ResultUse::Used { .. }
    ));

    let functions: [(_, &[Op]); 2] = [("main.main", &[CHECK, RET]), ("main.f", &[CHECK, RET])];
    let symbols = open(&Binary::new(Layout::Go120, &functions));
    let uncalled = symbols.find("main.f").unwrap();
    assert_eq!(symbols.results_read(uncalled).unwrap(), ResultUse::Unknown);
}
