//! A reader of [EDN](https://github.com/edn-format/edn), one form at a time.

use std::io::BufRead;

use super::{FORM_MAX, ImportError, Place};

/// A value. Numbers that are no 64-bit integers, characters and symbols are kept as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    String(String),
    /// A keyword, without its colon.
    Keyword(String),
    /// Any other atom.
    Symbol(String),
    /// A vector or list.
    Vector(Vec<Form>),
    /// A set.
    Set(Vec<Form>),
    /// A map.
    Map(Vec<(Form, Form)>),
}

impl Form {
    /// What a map holds under a keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Form> {
        let Self::Map(entries) = self else {
            return None;
        };
        let is_it = |(key, _): &&(Self, Self)| matches!(key, Self::Keyword(k) if k == keyword);
        entries.iter().find(is_it).map(|(_, value)| value)
    }
}

/// Forms within each other, at most.
const DEPTH_MAX: usize = 64;

pub(super) struct Reader<R> {
    input: R,
    place: Place,
    /// Bytes left to the present form.
    left: usize,
    /// Whether the file is one vector of forms.
    in_vector: bool,
    started: bool,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            place: Place { line: 1, column: 1 },
            left: FORM_MAX,
            in_vector: false,
            started: false,
        }
    }

    /// The next form, with its place. A file that is one vector or list is read as its elements.
    pub(super) fn next_form(&mut self) -> Result<Option<(Place, Form)>, ImportError> {
        loop {
            self.left = FORM_MAX;
            let mut first = self.skip_blank()?;
            if !self.started && matches!(first, Some(b'[' | b'(')) {
                self.take()?;
                self.in_vector = true;
                first = self.skip_blank()?;
            }
            self.started = true;
            match first {
                None if self.in_vector => {
                    return Err(self.place.cut("the file ends within a vector"));
                }
                None => return Ok(None),
                Some(b']' | b')') if self.in_vector => {
                    self.take()?;
                    self.in_vector = false;
                }
                Some(_) => {
                    let place = self.place;
                    if let Some(form) = self.form(0)? {
                        return Ok(Some((place, form)));
                    }
                }
            }
        }
    }

    /// As [`Reader::next_form`], but a file that ends within a form only ends: `cut` says where.
    pub(super) fn next_until_cut(
        &mut self,
        cut: &mut Option<ImportError>,
    ) -> Result<Option<(Place, Form)>, ImportError> {
        match self.next_form() {
            Err(error) if error.is_cut => {
                *cut = Some(error);
                Ok(None)
            }
            other => other,
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, ImportError> {
        let place = self.place;
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(place.error(format!("cannot be read: {error}"))),
            }
        }
    }

    fn take(&mut self) -> Result<Option<u8>, ImportError> {
        let Some(byte) = self.peek()? else {
            return Ok(None);
        };
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            self.place
                .error(format!("a form of more than {FORM_MAX} bytes"))
        })?;
        self.input.consume(1);
        if byte == b'\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Ok(Some(byte))
    }

    /// The first byte after blanks, commas and comments.
    fn skip_blank(&mut self) -> Result<Option<u8>, ImportError> {
        let mut in_comment = false;
        loop {
            match self.peek()? {
                Some(byte) if in_comment => in_comment = byte != b'\n',
                Some(b';') => in_comment = true,
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',') => {}
                other => return Ok(other),
            }
            self.left = FORM_MAX.min(self.left + 1);
            self.take()?;
        }
    }

    /// A form that must be there; what is discarded by `#_` is none.
    fn due(&mut self, depth: usize) -> Result<Form, ImportError> {
        let place = self.place;
        loop {
            match self.skip_blank()? {
                Some(byte @ (b']' | b')' | b'}')) => return Err(self.closes_nothing(byte)),
                None => return Err(place.cut("the file ends where a form is due")),
                Some(_) => {}
            }
            if let Some(form) = self.form(depth)? {
                return Ok(form);
            }
        }
    }

    fn closes_nothing(&self, byte: u8) -> ImportError {
        self.place
            .error(format!("{:?} closes nothing", char::from(byte)))
    }

    /// The form that begins here, or nothing where one is discarded.
    fn form(&mut self, depth: usize) -> Result<Option<Form>, ImportError> {
        if depth == DEPTH_MAX {
            return Err(self
                .place
                .error(format!("more than {DEPTH_MAX} forms within each other")));
        }
        let place = self.place;
        Ok(Some(match self.skip_blank()? {
            None => return Err(place.cut("the file ends where a form is due")),
            Some(b'"') => self.string()?,
            Some(b'[') => Form::Vector(self.until(b']', depth)?),
            Some(b'(') => Form::Vector(self.until(b')', depth)?),
            Some(b'{') => Form::Map(self.map(depth)?),
            Some(b'#') => {
                self.take()?;
                match self.peek()? {
                    Some(b'{') => Form::Set(self.until(b'}', depth)?),
                    Some(b'_') => {
                        self.take()?;
                        self.due(depth + 1)?;
                        return Ok(None);
                    }
                    // `##Inf` and its like.
                    Some(b'#') => {
                        self.take()?;
                        Form::Symbol(self.atom()?)
                    }
                    // A tag: what it makes of its form does not matter.
                    _ => {
                        self.atom()?;
                        self.due(depth + 1)?
                    }
                }
            }
            Some(b'^') => {
                self.take()?;
                self.due(depth + 1)?;
                self.due(depth + 1)?
            }
            Some(b'\\') => Form::Symbol(self.character()?),
            Some(byte @ (b']' | b')' | b'}')) => return Err(self.closes_nothing(byte)),
            Some(_) => classify(self.atom()?),
        }))
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Form, Form)>, ImportError> {
        let place = self.place;
        let mut all = self.until(b'}', depth)?.into_iter();
        let mut entries = Vec::with_capacity(all.len() / 2);
        while let Some(key) = all.next() {
            let value = all
                .next()
                .ok_or_else(|| place.error("a key without value"))?;
            entries.push((key, value));
        }
        Ok(entries)
    }

    /// A character such as `\a`, `\newline` or `\[`.
    fn character(&mut self) -> Result<String, ImportError> {
        let place = self.place;
        self.take()?;
        let first = self
            .take()?
            .ok_or_else(|| place.cut("the file ends within a character"))?;
        let mut bytes = vec![b'\\', first];
        bytes.extend(self.atom_bytes()?);
        String::from_utf8(bytes).map_err(|_| place.error("not UTF-8"))
    }

    fn until(&mut self, end: u8, depth: usize) -> Result<Vec<Form>, ImportError> {
        let place = self.place;
        self.take()?;
        let mut all = Vec::new();
        loop {
            match self.skip_blank()? {
                Some(byte) if byte == end => {
                    self.take()?;
                    return Ok(all);
                }
                None => {
                    return Err(place.cut("the file ends before what opens here is closed"));
                }
                Some(_) => all.extend(self.form(depth + 1)?),
            }
        }
    }

    fn atom(&mut self) -> Result<String, ImportError> {
        let place = self.place;
        let bytes = self.atom_bytes()?;
        if bytes.is_empty() {
            return Err(match self.take()? {
                None => place.cut("the file ends where a form is due"),
                Some(_) => place.error("a form is due here"),
            });
        }
        String::from_utf8(bytes).map_err(|_| place.error("not UTF-8"))
    }

    fn atom_bytes(&mut self) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            if byte.is_ascii_whitespace() || b",;\"[](){}".contains(&byte) {
                break;
            }
            bytes.push(byte);
            self.take()?;
        }
        Ok(bytes)
    }

    fn string(&mut self) -> Result<Form, ImportError> {
        let place = self.place;
        self.take()?;
        let mut bytes = Vec::new();
        loop {
            match self.take()? {
                None => return Err(place.cut("the file ends within a string")),
                Some(b'"') => break,
                Some(b'\\') => bytes.extend(self.escaped()?.to_string().bytes()),
                Some(byte) => bytes.push(byte),
            }
        }
        let text =
            String::from_utf8(bytes).map_err(|_| place.error("a string that is not UTF-8"))?;
        Ok(Form::String(text))
    }

    fn escaped(&mut self) -> Result<char, ImportError> {
        let place = self.place;
        Ok(match self.take()? {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\')) => char::from(byte),
            Some(b'u') => {
                let mut code = 0;
                for _ in 0..4 {
                    let byte = self
                        .take()?
                        .ok_or_else(|| place.cut("the file ends within a string"))?;
                    let digit = char::from(byte).to_digit(16);
                    code = code * 16 + digit.ok_or_else(|| place.error("four digits are due"))?;
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            None => return Err(place.cut("the file ends within a string")),
            Some(_) => return Err(place.error("an unknown escape")),
        })
    }
}

fn classify(atom: String) -> Form {
    match atom.as_str() {
        "nil" => Form::Nil,
        "true" => Form::Bool(true),
        "false" => Form::Bool(false),
        text => {
            if let Some(keyword) = text.strip_prefix(':') {
                Form::Keyword(keyword.to_owned())
            } else if let Ok(number) = text.strip_suffix('N').unwrap_or(text).parse() {
                Form::Int(number)
            } else {
                Form::Symbol(atom)
            }
        }
    }
}
