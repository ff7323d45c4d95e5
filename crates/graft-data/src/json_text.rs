//! JSON values as text, with the fields of objects in the order of the file: templates print tools
//! and arguments in that order.

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Writes the next value of a deserializer to a string.
pub(crate) struct JsonText<'a>(pub(crate) &'a mut String);

impl<'de> DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", control as u32).expect("invariant: strings accept writes")
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push_display(out: &mut String, value: impl fmt::Display) {
    write!(out, "{value}").expect("invariant: strings accept writes");
}

impl<'de> Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        push_string(self.0, text);
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        push_display(self.0, flag);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        push_display(self.0, number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        push_display(self.0, number);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        // `{:?}` keeps the `.0` of a whole float, as JSON writers do.
        write!(self.0, "{number:?}").expect("invariant: strings accept writes");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.push('[');
        let mut begin = self.0.len();
        while list.next_element_seed(JsonText(self.0))?.is_some() {
            begin = self.0.len();
            self.0.push(',');
        }
        self.0.truncate(begin);
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push('{');
        let mut begin = self.0.len();
        while map.next_key_seed(JsonText(self.0))?.is_some() {
            self.0.push(':');
            map.next_value_seed(JsonText(self.0))?;
            begin = self.0.len();
            self.0.push(',');
        }
        self.0.truncate(begin);
        self.0.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_the_order_of_its_fields() {
        let text = r#"{"z":[1,-2,1.0,true,null,{}],"a":{"b":"\"q\" \\ \n ü \u0001","list":[]}}"#;
        let mut out = String::new();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        JsonText(&mut out).deserialize(&mut deserializer).expect("valid");
        assert_eq!(out, text);
    }
}
