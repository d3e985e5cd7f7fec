//! Names of Go functions, and patterns for them.

/// A function's full name, in parts: `a/b.(*T).m.func1` is package `a/b`,
/// symbol `(*T).m`, and derived `.func1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    full: &'a str,
    /// Package and symbol.
    base: &'a str,
    /// Where the symbol begins, behind the package and its dot.
    symbol: usize,
    /// What the compiler derived from the function: a closure, a wrapper.
    pub(super) derived: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn new(full: &'a str) -> Self {
        // Types in parentheses or brackets may have paths of their own.
        let plain = full.find(['(', '[']).unwrap_or(full.len());
        let package = full[..plain].rfind('/').map_or(0, |slash| slash + 1);
        let symbol = match full[package..plain].find('.') {
            Some(dot) => package + dot + 1,
            None => package,
        };
        let at = derived(full, symbol);
        Self {
            full,
            base: &full[..at],
            symbol,
            derived: &full[at..],
        }
    }

    /// The symbol, without package and what is derived from it.
    pub(super) fn symbol(&self) -> &'a str {
        &self.base[self.symbol.min(self.base.len())..]
    }

    /// Package and symbol, from the n-th last `/`: the same part of the name as
    /// a pattern with as many.
    pub(super) fn tail(&self, slashes: usize) -> &'a str {
        let mut cuts = self.base[..self.symbol.min(self.base.len())].rmatch_indices('/');
        match cuts.nth(slashes) {
            Some((at, _)) => &self.base[at + 1..],
            None => self.base,
        }
    }

    /// Where a suffix may begin: at the front, behind each `/` of the package,
    /// and behind the package's dot.
    fn suffixes(&self) -> impl Iterator<Item = &'a str> {
        let base = self.base;
        let slashes = base[..self.symbol.min(base.len())].match_indices('/');
        std::iter::once(0)
            .chain(slashes.map(|(at, _)| at + 1))
            .chain((self.symbol > 0).then_some(self.symbol))
            .filter_map(move |at| base.get(at..))
    }
}

/// Where the part that the compiler derived begins; the end if there is none.
///
/// Closures are `.func1`, those of `go` and `defer` statements `.gowrap1` and
/// `.deferwrap1` (`·dwrap·1` in Go 1.17), bodies of range-over-func loops
/// `-range1`, method values `-fm` (Go's `cmd/compile/internal/ir/func.go`).
fn derived(full: &str, symbol: usize) -> usize {
    let starts_with_number = |text: &str| text.starts_with(|one: char| one.is_ascii_digit());
    let marked = |at: usize| {
        let rest = &full[at..];
        let numbered = [".func", ".gowrap", ".deferwrap", "-range"];
        // As a pattern, `.func*` asks for closures too.
        numbered.iter().any(|mark| {
            let number = rest.strip_prefix(mark);
            number.is_some_and(|rest| starts_with_number(rest) || rest.starts_with('*'))
        }) || rest.starts_with("·dwrap")
            || rest == "-fm"
            || rest.starts_with("-fm.")
    };
    let from = (symbol + 1).min(full.len());
    let candidates = full
        .char_indices()
        .filter(|(at, one)| *at >= from && matches!(one, '.' | '-' | '·'));
    let mut found = candidates.map(|(at, _)| at).filter(|at| marked(*at));
    found.next().unwrap_or(full.len())
}

/// What a function's name has to end with; see
/// [`Symbols::find`](super::Symbols::find).
#[derive(Clone, Debug)]
pub(super) struct Pattern<'a> {
    name: Name<'a>,
    base: Vec<&'a str>,
    derived: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let name = Name::new(text);
        Self {
            name,
            base: pieces(name.base),
            derived: pieces(name.derived),
        }
    }

    pub(super) fn matches(&self, name: &Name<'_>) -> bool {
        // An empty pattern would match nothing that is named, or everything.
        !self.name.full.is_empty()
            && glob(&self.derived, name.derived)
            && name.suffixes().any(|suffix| glob(&self.base, suffix))
    }

    /// Whether something was derived from a function that would match.
    pub(super) fn matches_origin_of(&self, name: &Name<'_>) -> bool {
        !name.derived.is_empty()
            && self.name.derived.is_empty()
            && name.suffixes().any(|suffix| glob(&self.base, suffix))
    }

    /// How many `/` the pattern has; none for a bare symbol.
    pub(super) fn slashes(&self) -> Option<usize> {
        let slashes = self.name.base.matches('/').count();
        (slashes > 0 || self.name.symbol > 0).then_some(slashes)
    }

    pub(super) fn base(&self) -> &'a str {
        self.name.base
    }

    pub(super) fn symbol(&self) -> &'a str {
        self.name.symbol()
    }
}

/// The literal pieces between the wildcards. The star of a receiver, `(*T)`,
/// is none; that of `(*)` is one.
fn pieces(pattern: &str) -> Vec<&str> {
    let bytes = pattern.as_bytes();
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in pattern.match_indices('*') {
        let receiver = at > 0 && bytes[at - 1] == b'(' && bytes.get(at + 1) != Some(&b')');
        if !receiver {
            pieces.push(&pattern[start..at]);
            start = at + 1;
        }
    }
    pieces.push(&pattern[start..]);
    pieces
}

/// Whether the text is the pieces, with anything but `/` between them.
fn glob(pieces: &[&str], text: &str) -> bool {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return text.is_empty();
    };
    if pieces.len() == 1 {
        return text == *first;
    }
    let inner = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = inner else {
        return false;
    };
    for piece in &pieces[1..pieces.len() - 1] {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        if rest[..at].contains('/') {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    !rest.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).matches(&Name::new(name))
    }

    const DEFRAG: &str = "go.etcd.io/etcd/server/v3/mvcc/backend.(*backend).defrag";

    #[test]
    fn names_come_apart() {
        for (full, symbol, derived) in [
            (DEFRAG, "(*backend).defrag", ""),
            ("main.main.func1.2", "main", ".func1.2"),
            ("a/b.(*T).m-fm", "(*T).m", "-fm"),
            ("a/b.f·dwrap·1", "f", "·dwrap·1"),
            ("a/b.f.gowrap1", "f", ".gowrap1"),
            ("a/b.f.deferwrap2", "f", ".deferwrap2"),
            ("a/b.f-range1", "f", "-range1"),
            ("a/b.func1", "func1", ""),
            ("a/b.f.functional", "f.functional", ""),
            ("a/b.glob..func3", "glob.", ".func3"),
            ("gopkg.in/yaml%2ev2.(*T).m[...]", "(*T).m[...]", ""),
            (
                "a/b.(*T[go.shape.struct { c/d.E }]).m",
                "(*T[go.shape.struct { c/d.E }]).m",
                "",
            ),
            ("type:.eq.a/b.T", "T", ""),
            ("_rt0_amd64", "_rt0_amd64", ""),
        ] {
            let name = Name::new(full);
            assert_eq!((name.symbol(), name.derived), (symbol, derived), "{full}");
        }
        assert_eq!(Name::new(DEFRAG).tail(0), "backend.(*backend).defrag");
        assert_eq!(Name::new(DEFRAG).tail(1), "mvcc/backend.(*backend).defrag");
        assert_eq!(Name::new("main.main").tail(3), "main.main");
    }

    #[test]
    fn a_pattern_is_a_suffix_at_a_boundary() {
        for pattern in [
            DEFRAG,
            "mvcc/backend.(*backend).defrag",
            "backend.(*backend).defrag",
            "(*backend).defrag",
            "backend.(*).defrag",
            "(*).defrag",
            "backend.*.defrag",
            "(*back*).def*",
            "mvcc/*.(*backend).defrag",
        ] {
            assert!(matches(pattern, DEFRAG), "{pattern}");
        }
        for pattern in [
            "",
            "defrag",
            "ackend.(*backend).defrag",
            "backend).defrag",
            "backend.(*backend).def",
            "backend.(backend).defrag",
            "server/*.(*backend).defrag",
        ] {
            assert!(!matches(pattern, DEFRAG), "{pattern}");
        }
        assert!(matches("defragdb", "a/backend.defragdb"));
        assert!(matches("backend.defragdb", "a/backend.defragdb"));
        assert!(!matches("backend.defragdb", "a/nobackend.defragdb"));
    }

    #[test]
    fn what_the_compiler_derived_is_matched_only_when_asked_for() {
        let closure = format!("{DEFRAG}.func1");
        for pattern in [
            "(*backend).defrag",
            "(*backend).*",
            "backend.*",
            "(*backend).defrag*",
        ] {
            assert!(!matches(pattern, &closure), "{pattern}");
        }
        for pattern in [
            "(*backend).defrag.func1",
            "(*backend).*.func1",
            "(*backend).defrag.func*",
        ] {
            assert!(matches(pattern, &closure), "{pattern}");
        }
        assert!(matches("(*T).m-fm", "a/b.(*T).m-fm"));
        assert!(!matches("(*T).m", "a/b.(*T).m-fm"));
        assert!(!matches("(*T).*", "a/b.(*T).m-fm"));
        assert!(Pattern::new("(*backend).defrag").matches_origin_of(&Name::new(&closure)));
    }
}
