//! One table of a file: its fields are taken by name, and what is left over is unknown.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::draw::{Draw, Unit};
use crate::error::Problem;
use crate::names::suggest;
use crate::scenario::Place;

/// A file being read, and what was found wrong with it so far.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) problems: RefCell<Vec<Problem>>,
}

impl Source<'_> {
    pub(super) fn problem(&self, place: Range<usize>, message: impl Into<String>) {
        let problem = Problem::at(self.text, place, message);
        self.problems.borrow_mut().push(problem);
    }
}

/// A table, with the words that errors call it by (`step 3`).
pub(super) struct Section<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) label: String,
    pub(super) place: Place,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        label: impl Into<String>,
        place: Place,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        let (label, known) = (label.into(), Vec::new());
        Self {
            source,
            label,
            place,
            table,
            known,
        }
    }

    /// The field of this name, which is thereby known.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        let value = self.table?.get(name)?;
        Some(Field {
            source: self.source,
            label: self.prefixed(name),
            value,
        })
    }

    /// As [`Section::take`], and a problem where it is missing.
    pub(super) fn require(&mut self, name: &'static str) -> Option<Field<'a>> {
        let field = self.take(name);
        if field.is_none() {
            self.problem(format!("field {name:?} is missing"));
        }
        field
    }

    /// The sub-table of this name; an empty one where it is missing.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'a> {
        match self.take(name) {
            Some(field) => field.section(),
            None => Section::new(self.source, self.prefixed(name), self.place.clone(), None),
        }
    }

    /// Every key with its field, in the order of the file: for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(Spanned<String>, Field<'a>)> {
        let mut entries: Vec<_> = self
            .table
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let label = self.prefixed(&name);
                let field = Field {
                    source: self.source,
                    label,
                    value,
                };
                (Spanned::new(key.span(), name), field)
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Reports a problem with the table as a whole.
    pub(super) fn problem(&self, message: impl AsRef<str>) {
        let message = self.prefixed(message.as_ref());
        self.source.problem(self.place.clone(), message);
    }

    /// Reports every field that was not taken.
    pub(super) fn finish(self) {
        for (key, _) in self.entries() {
            let name = key.get_ref().as_str();
            if !self.known.contains(&name) {
                let hint = suggest(name, self.known.iter().copied());
                let message = self.prefixed(&format!("unknown field {name:?}{hint}"));
                self.source.problem(key.span(), message);
            }
        }
    }

    fn prefixed(&self, text: &str) -> String {
        match self.label.is_empty() {
            true => text.into(),
            false => format!("{}: {text}", self.label),
        }
    }
}

/// One value. Every reader reports a problem and gives nothing where the value does not fit.
pub(super) struct Field<'a> {
    source: &'a Source<'a>,
    label: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    pub(super) fn place(&self) -> Place {
        self.value.span()
    }

    pub(super) fn problem(&self, message: impl AsRef<str>) {
        let message = format!("{}: {}", self.label, message.as_ref());
        self.source.problem(self.place(), message);
    }

    fn wrong_type<T>(&self, allowed: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        self.problem(format!("this is of type {found}; allowed: {allowed}"));
        None
    }

    pub(super) fn string(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => self.wrong_type("a string"),
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.get_ref().as_str()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    pub(super) fn section(&self) -> Section<'a> {
        let table = self.value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type::<()>("a table");
        }
        Section::new(self.source, self.label.clone(), self.place(), table)
    }

    /// The elements of an array.
    pub(super) fn elements(&self, allowed: &str) -> Vec<Field<'a>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.wrong_type::<()>(allowed);
            return Vec::new();
        };
        let (source, label) = (self.source, &self.label);
        let field = |value| Field {
            source,
            label: label.clone(),
            value,
        };
        array.iter().map(field).collect()
    }

    pub(super) fn strings(&self) -> Vec<String> {
        let elements = self.elements("an array of strings");
        elements.iter().filter_map(Field::string).collect()
    }

    /// A string, or an array of strings of which one is drawn.
    pub(super) fn string_choices(&self) -> Option<Vec<String>> {
        let choices = match self.value.get_ref() {
            DeValue::String(text) => return Some(vec![text.to_string()]),
            DeValue::Array(_) => self.strings(),
            _ => return self.wrong_type("a string, or an array of strings to draw one of"),
        };
        if choices.is_empty() {
            self.problem("there is nothing to draw from; name at least one");
            return None;
        }
        Some(choices)
    }

    /// A number or time, fixed or drawn, within these bounds.
    pub(super) fn draw(&self, unit: Unit, low: u64, high: u64) -> Option<Draw> {
        let draw = self.draw_unbounded(unit)?;
        let (least, most) = draw.bounds();
        if least < low || most > high {
            let wrong = if least < low { least } else { most };
            let (wrong, low, high) = (unit.show(wrong), unit.show(low), unit.show(high));
            self.problem(format!(
                "{wrong} is out of bounds; allowed: {low} to {high}"
            ));
            return None;
        }
        Some(draw)
    }

    /// An integer, or an array of some.
    pub(super) fn numbers(&self, allowed: &str) -> Option<Vec<Draw>> {
        match self.value.get_ref() {
            DeValue::Array(array) if !array.is_empty() => {
                let elements = self.elements(allowed);
                elements.iter().map(|e| e.number(allowed)).collect()
            }
            _ => Some(vec![self.number(allowed)?]),
        }
    }

    fn number(&self, allowed: &str) -> Option<Draw> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.wrong_type(allowed);
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => Some(Draw::Fixed(value)),
            Err(_) => {
                self.problem(format!(
                    "{} is out of bounds; allowed: {allowed}",
                    integer.as_str()
                ));
                None
            }
        }
    }

    fn draw_unbounded(&self, unit: Unit) -> Option<Draw> {
        match self.value.get_ref() {
            DeValue::Integer(_) if unit == Unit::Count => self.number(unit.examples()),
            DeValue::String(text) => match unit.parse(text) {
                Ok(draw) => Some(draw),
                Err(message) => {
                    self.problem(message);
                    None
                }
            },
            DeValue::Array(array) if array.is_empty() => {
                self.problem("there is nothing to draw from; name at least one");
                None
            }
            DeValue::Array(_) => {
                let elements = self.elements(unit.examples());
                let choices: Option<_> = elements.iter().map(|e| e.draw_unbounded(unit)).collect();
                choices.map(Draw::any_of)
            }
            _ => self.wrong_type(unit.examples()),
        }
    }
}
