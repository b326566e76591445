//! Any JSON, for what people hand over: whoever reads it says himself what is wrong, in the same words natively and in a
//! browser.

use std::fmt;

use crate::words::key;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What a text of JSON describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object, in the order of its fields.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// What it is, as a clause has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => key("true or false"),
            Self::Number(_) => key("a number"),
            Self::Text(_) => key("a text"),
            Self::List(_) => key("a list"),
            Self::Object(_) => key("an object"),
        }
    }

    /// The field of an object; one that is `null` counts as absent, since programs with tables write every column.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(its, _)| its == name).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
        .filter(|value| **value != Self::Null)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn any_json_is_read_and_null_is_an_absent_field() {
        let value: Value = json::from_text(r#"{"a":[1,"x",true,null,{}],"b":null,"c":{"d":0.5}}"#).unwrap();
        let list = [Value::Number(1.0), Value::Text("x".into()), Value::Bool(true), Value::Null, Value::Object(vec![])];
        assert_eq!(value.field("a"), Some(&Value::List(list.to_vec())));
        assert_eq!((value.field("b"), value.field("x")), (None, None));
        assert_eq!(value.field("c").and_then(|it| it.field("d")), Some(&Value::Number(0.5)));
        assert_eq!(value.field("a").map(Value::kind), Some("a list"));
        assert_eq!(Value::Null.field("a"), None);
    }
}
