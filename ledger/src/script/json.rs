//! JSON as scripts use it: every number exact, every field known, every complaint with its place.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong with a line, in words for the one who wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint(pub(super) String);

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `Err` with a formatted [`Complaint`].
macro_rules! complain {
    ($($arg:tt)*) => { Err(crate::script::json::Complaint(format!($($arg)*))) };
}
pub(super) use complain;

/// An unsigned integer that a field can have.
pub(super) trait Unsigned: Sized {
    const LARGEST: u128;
    fn narrow(value: u128) -> Option<Self>;
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Unsigned for $type {
            const LARGEST: u128 = <$type>::MAX as u128;
            fn narrow(value: u128) -> Option<Self> {
                Self::try_from(value).ok()
            }
        }
    )*};
}
unsigned!(u128, u64, u32, u16);

/// One value, not looked into yet.
#[derive(Clone, Copy)]
pub(super) struct Json<'a> {
    /// Where it is: `events[3].amount`.
    place: Place<'a>,
    raw: &'a RawValue,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Line,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line => f.write_str("the line"),
            Self::Field(Self::Line, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> Json<'a> {
    /// A whole line.
    pub(super) fn line(line: &'a str) -> Result<Self, Complaint> {
        match serde_json::from_str(line) {
            Ok(raw) => Ok(Self { place: Place::Line, raw }),
            Err(error) => complain!("not JSON: {} at column {}", without_position(&error), error.column()),
        }
    }

    /// Its fields, each of which has to be taken.
    pub(super) fn object(&'a self) -> Result<Object<'a>, Complaint> {
        if !self.raw.get().starts_with('{') {
            return complain!("{} must be an object, not {}", self.place, self.kind());
        }
        match serde_json::from_str::<Fields<'_>>(self.raw.get()) {
            Ok(Fields(fields)) => Ok(Object { place: &self.place, fields }),
            Err(error) => complain!("{}: {}", self.place, without_position(&error)),
        }
    }

    /// What `each` makes of the items of an array.
    pub(super) fn array<T>(
        &self,
        mut each: impl FnMut(Json<'_>) -> Result<T, Complaint>,
    ) -> Result<Vec<T>, Complaint> {
        if !self.raw.get().starts_with('[') {
            return complain!("{} must be an array, not {}", self.place, self.kind());
        }
        let items: Vec<&RawValue> = match serde_json::from_str(self.raw.get()) {
            Ok(items) => items,
            Err(error) => return complain!("{}: {}", self.place, without_position(&error)),
        };
        let item = |(index, raw)| each(Json { place: Place::Item(&self.place, index), raw });
        items.into_iter().enumerate().map(item).collect()
    }

    /// An unsigned integer, as a number or as a string of digits.
    pub(super) fn number<T: Unsigned>(&self) -> Result<T, Complaint> {
        let text = match self.raw.get().as_bytes()[0] {
            b'"' => self.text()?,
            b'-' | b'0'..=b'9' => Cow::Borrowed(self.raw.get()),
            _ => return complain!("{} must be an integer, not {}", self.place, self.kind()),
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let text = shorten(&text);
            return complain!("{} must be an integer from 0 to {}, not {text}", self.place, T::LARGEST);
        }
        match text.parse().ok().and_then(T::narrow) {
            Some(number) => Ok(number),
            None => {
                let text = shorten(&text);
                complain!("{} must be an integer from 0 to {}, not {text}", self.place, T::LARGEST)
            }
        }
    }

    /// A string.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, Complaint> {
        if !self.raw.get().starts_with('"') {
            return complain!("{} must be a string, not {}", self.place, self.kind());
        }
        let text = self.raw.get();
        if !text.contains('\\') {
            return Ok(Cow::Borrowed(&text[1..text.len() - 1]));
        }
        match serde_json::from_str(text) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => complain!("{}: {}", self.place, without_position(&error)),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, Complaint> {
        match self.raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => complain!("{} must be true or false, not {}", self.place, self.kind()),
        }
    }

    /// Flags: a list of names, or an integer.
    pub(super) fn flags<T: Unsigned + std::ops::BitOr<Output = T>>(
        &self,
        none: T,
        by_name: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Complaint> {
        if !self.raw.get().starts_with('[') {
            return self.number();
        }
        let named = self.array(|item| {
            let name = item.text()?;
            match by_name(&name) {
                Some(flag) => Ok(flag),
                None => complain!("{}: no flag is called {}", item.place, shorten(&name)),
            }
        })?;
        Ok(named.into_iter().fold(none, |all, flag| all | flag))
    }

    /// What it is, for a complaint.
    fn kind(&self) -> &'static str {
        match self.raw.get().as_bytes()[0] {
            b'{' => "an object",
            b'[' => "an array",
            b'"' => "a string",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            _ => "a number",
        }
    }
}

/// The fields of one object.
pub(super) struct Object<'a> {
    place: &'a Place<'a>,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl Object<'_> {
    /// Takes the field of that name out, if it is there, through `read`.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Json<'_>) -> Result<T, Complaint>,
    ) -> Result<Option<T>, Complaint> {
        let Some(index) = self.fields.iter().position(|(field, _)| field == name) else { return Ok(None) };
        let (_, raw) = self.fields.swap_remove(index);
        read(Json { place: Place::Field(self.place, name), raw }).map(Some)
    }

    /// The same for a field that must be there.
    pub(super) fn need<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Json<'_>) -> Result<T, Complaint>,
    ) -> Result<T, Complaint> {
        match self.take(name, read)? {
            Some(value) => Ok(value),
            None => complain!("{} is missing", Place::Field(self.place, name)),
        }
    }

    /// Reads an integer into `into` if the field is there.
    pub(super) fn number<T: Unsigned>(&mut self, name: &str, into: &mut T) -> Result<(), Complaint> {
        if let Some(number) = self.take(name, |value| value.number())? {
            *into = number;
        }
        Ok(())
    }

    /// Complains of a field that nobody took.
    pub(super) fn finish(self) -> Result<(), Complaint> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => complain!("{}: no field is called {}", self.place, shorten(name)),
        }
    }
}

/// All fields in order, each name once.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(M::Error::custom(format_args!("{} is there twice", shorten(&name))));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What the JSON parser complains of, without its position: it counts from where it was started.
fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.rfind(" at line ").unwrap_or(text.len()));
    text
}

/// A text from outside, quoted and cut to a length that can be shown.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
