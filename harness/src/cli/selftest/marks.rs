//! How many of a cell's runs have to catch its bug.

/// After so many runs, so many must have caught it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) runs: u64,
    pub(super) enough: u64,
}

/// The marks of a cell, in order; meeting any of them is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks(Vec<Mark>);

/// What a cell's runs so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Undecided.
    Open,
    /// A mark is met.
    Met,
    /// None can be met any more.
    Missed,
}

impl Marks {
    /// 19 of 20 runs; where that is missed, 54 of 60, since one that truly catches 95 % comes to 19
    /// of 20 only three times of four. Other counts in proportion.
    pub(super) fn of(runs: u64) -> Self {
        let later = 3 * runs;
        Self(vec![
            Mark {
                runs,
                enough: runs - runs / 20,
            },
            Mark {
                runs: later,
                enough: (later * 9).div_ceil(10),
            },
        ])
    }

    /// One of two.
    pub(super) fn quick() -> Self {
        Self(vec![
            Mark { runs: 1, enough: 1 },
            Mark { runs: 2, enough: 1 },
        ])
    }

    /// All of them.
    pub(super) fn all(runs: u64) -> Self {
        Self(vec![Mark { runs, enough: runs }])
    }

    /// Where a cell stands; a mark counts when its runs are made.
    pub(super) fn standing(&self, made: u64, caught: u64) -> Standing {
        if self
            .0
            .iter()
            .any(|mark| mark.runs == made && caught >= mark.enough)
        {
            return Standing::Met;
        }
        let can = |mark: &Mark| mark.runs > made && made - caught <= mark.runs - mark.enough;
        match self.0.iter().any(can) {
            true => Standing::Open,
            false => Standing::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Met, Missed, Open};
    use super::*;

    #[test]
    fn nineteen_of_twenty_or_else_fifty_four_of_sixty() {
        let marks = Marks::of(20);
        assert_eq!(marks.standing(0, 0), Open);
        assert_eq!(marks.standing(19, 19), Open, "the twentieth is made too");
        assert_eq!(marks.standing(20, 20), Met);
        assert_eq!(marks.standing(20, 19), Met);
        assert_eq!(marks.standing(20, 18), Open, "to sixty");
        assert_eq!(marks.standing(59, 53), Open);
        assert_eq!(marks.standing(60, 54), Met);
        assert_eq!(marks.standing(60, 53), Missed);
        assert_eq!(
            marks.standing(7, 0),
            Missed,
            "seven misses are too many even for sixty"
        );
        assert_eq!(marks.standing(20, 14), Open);
        assert_eq!(marks.standing(20, 13), Missed);
    }

    #[test]
    fn one_seed_must_catch_it_and_quick_has_two_attempts() {
        assert_eq!(Marks::of(1).standing(1, 1), Met);
        assert_eq!(Marks::of(1).standing(1, 0), Missed);
        let quick = Marks::quick();
        assert_eq!(quick.standing(1, 1), Met);
        assert_eq!(quick.standing(1, 0), Open);
        assert_eq!(quick.standing(2, 1), Met);
        assert_eq!(quick.standing(2, 0), Missed);
    }

    #[test]
    fn the_sound_form_may_not_fail_once() {
        let all = Marks::all(50);
        assert_eq!(all.standing(49, 49), Open);
        assert_eq!(all.standing(50, 50), Met);
        assert_eq!(all.standing(3, 2), Missed);
    }
}
