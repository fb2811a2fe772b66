use super::*;

#[test]
fn pauses_get_longer_up_to_a_limit() {
    let pause = |attempt| back_off(attempt, Duration::from_secs(1), Duration::from_secs(3600)).as_secs();
    assert_eq!([1, 2, 3, 4, 7, 100].map(pause), [1, 4, 16, 64, 3600, 3600]);
}
