//! How values are written in columns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::StoreError;

/// A time as milliseconds since 1970; later times than a column can hold are the latest.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of a column.
pub(crate) fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

/// A GUID for a new row that lists are ordered by. Those that one process makes sort in the order of their making, also
/// within the millisecond that a column tells apart (UUID version 7, RFC 9562 section 5.7).
pub(crate) fn ordered_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The 32 bytes of a column with 64 hexadecimal digits.
pub(crate) fn bytes32(text: &str, what: &str) -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(StoreError::Damaged(format!("{what} is not 64 hexadecimal digits"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_as_text() {
        let bytes: [u8; 32] = std::array::from_fn(|at| (at * 37) as u8);
        assert_eq!(bytes32(&hex::encode(bytes), "it").unwrap(), bytes);
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert!(matches!(bytes32(bad, "it"), Err(StoreError::Damaged(_))), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<_> = (0..10_000).map(|_| ordered_id()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn times_survive_to_the_millisecond() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(time(milliseconds(now)), now);
        assert_eq!(milliseconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(time(-1), UNIX_EPOCH);
    }
}
