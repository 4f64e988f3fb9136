//! How numbers of up to 128 bits stand in a column: as an INTEGER while they fit 63 bits, else as decimal TEXT.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};

use crate::{AccountId, CommitSeq, Timestamp, TransferId};

/// An unsigned number on its way into a column.
pub(super) struct Number(pub(super) u128);

impl ToSql for Number {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match i64::try_from(self.0) {
            Ok(small) => ToSqlOutput::Borrowed(ValueRef::Integer(small)),
            Err(_) => ToSqlOutput::Owned(Value::Text(self.0.to_string())),
        })
    }
}

/// Reads a number back; anything that [`Number`] would not have written is refused.
pub(super) fn parse(value: ValueRef<'_>) -> Result<u128, FromSqlError> {
    match value {
        ValueRef::Integer(small) => u128::try_from(small).map_err(|_| FromSqlError::OutOfRange(small)),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(FromSqlError::Utf8Error)?;
            let large: u128 = text.parse().map_err(|_| FromSqlError::InvalidType)?;
            // One number, one form: "007" and texts of small numbers were not written by us.
            if i64::try_from(large).is_ok() || text.starts_with(['0', '+']) {
                return Err(FromSqlError::InvalidType);
            }
            Ok(large)
        }
        _ => Err(FromSqlError::InvalidType),
    }
}

/// Implements the columns of a newtype over `u64`, of which the ledger uses 63 bits.
macro_rules! integer_column {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let integer = i64::try_from(self.0);
                let integer = integer.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                Ok(ToSqlOutput::Borrowed(ValueRef::Integer(integer)))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let integer = value.as_i64()?;
                u64::try_from(integer).map(Self).map_err(|_| FromSqlError::OutOfRange(integer))
            }
        }
    )*};
}
integer_column!(Timestamp, CommitSeq);

/// Implements the columns of an id: 16 bytes, big-endian, so that ids sort as numbers.
macro_rules! id_column {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Owned(Value::Blob(self.0.to_be_bytes().to_vec())))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(|bytes| Self(u128::from_be_bytes(bytes)))
            }
        }
    )*};
}
id_column!(AccountId, TransferId);
