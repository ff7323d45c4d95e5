//! One JSON object as a row.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::csv::MOST_FIELDS;
use super::json_text::JsonText;
use super::record::{Field, Row};
use super::roles::may_be_structured;
use super::shape::Mapping;

/// The fields of an object.
///
/// # Errors
/// The problem, in words.
pub(crate) fn row<'a>(text: &'a str, mapping: &Mapping) -> Result<Row<'a>, String> {
    if !text.starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = deserializer
        .deserialize_map(Fields { mapping })
        .and_then(|row| deserializer.end().map(|()| row));
    parsed.map_err(|error| problem(text, &error))
}

fn problem(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "the JSON object does not end on this line; JSON Lines has one complete object per line"
            .to_owned();
    }
    let whole = error.to_string();
    let message = whole.split(" at line ").next().unwrap_or_default();
    let last_line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or(text);
    // The error is at the word or at its first letters.
    let near = |word: &str| {
        let mut places = last_line.match_indices(word);
        places.any(|(begin, _)| (begin..=begin + word.len()).contains(&error.column()))
    };
    if let Some(word) = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| near(word)) {
        return format!(
            "{word} is not valid JSON (column {}); write null for a missing number",
            error.column()
        );
    }
    format!("it is not valid JSON: {message} (column {})", error.column())
}

/// Reads the fields of an object; the contents of lists and objects are skipped unless they may be
/// messages or tools.
struct Fields<'m> {
    mapping: &'m Mapping,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let mut fields = Row::new();
        while let Some(Name(name)) = map.next_key()? {
            if fields.len() == MOST_FIELDS {
                return Err(A::Error::custom(format!("it has more than {MOST_FIELDS} fields")));
            }
            let is_kept = may_be_structured(&name) || self.mapping.is_structured(&name);
            let field = map.next_value_seed(FieldSeed { is_kept })?;
            fields.push((name, field));
        }
        Ok(fields)
    }
}

/// A key, borrowed if it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Key)
    }
}

/// Reads one value.
struct FieldSeed {
    is_kept: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(if flag { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Field<'de>, E> {
        Ok(Field::Float(number))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        if !self.is_kept {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Field::List(None));
        }
        let mut text = String::new();
        JsonText(&mut text).visit_seq(list)?;
        Ok(Field::List(Some(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Object)
    }
}
