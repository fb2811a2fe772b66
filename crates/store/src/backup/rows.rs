//! Rows as JSON.

use serde_json::{Map, Number, Value};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{Any, AssertSqlSafe, Column, Row, Transaction, TypeInfo, ValueRef};

use super::BackupError;
use crate::StoreError;

/// A row as an object.
pub(super) fn object_of(row: &AnyRow) -> Result<Value, StoreError> {
    let mut object = Map::new();
    for (at, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(at)?;
        let value = match raw.type_info().kind() {
            _ if raw.is_null() => Value::Null,
            AnyTypeInfoKind::Text => Value::String(row.try_get(at)?),
            AnyTypeInfoKind::BigInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::SmallInt => {
                Value::Number(Number::from(row.try_get::<i64, _>(at)?))
            }
            AnyTypeInfoKind::Double | AnyTypeInfoKind::Real => {
                let number = Number::from_f64(row.try_get(at)?);
                Value::Number(number.ok_or_else(|| StoreError::Damaged("a number is not finite".to_owned()))?)
            }
            _ => {
                let name = raw.type_info().name().to_owned();
                return Err(StoreError::Damaged(format!("column {} has the type {name}", column.name())));
            }
        };
        object.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(object))
}

/// Inserts an object as a row of a table, whose name is one of ours.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Any>,
    table: &str,
    object: &Map<String, Value>,
) -> Result<(), BackupError> {
    let wrong = |problem: String| BackupError::Damaged(format!("a row of table {table} {problem}"));
    let (mut columns, mut places, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (column, value) in object {
        // Names become part of a statement.
        if column.is_empty()
            || !column.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            return Err(wrong("has a column with a name that is none".to_owned()));
        }
        columns.push(column.as_str());
        // A null among the parameters would need the type of its column.
        if value.is_null() {
            places.push("NULL".to_owned());
            continue;
        }
        values.push(value);
        places.push(format!("${}", values.len()));
    }
    let sql = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::String(text) => query.bind(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => query.bind(number),
                (None, Some(number)) => query.bind(number),
                (None, None) => return Err(wrong("has a number out of range".to_owned())),
            },
            _ => return Err(wrong("has a value that no column can hold".to_owned())),
        };
    }
    query.execute(&mut **transaction).await.map_err(StoreError::from)?;
    Ok(())
}
