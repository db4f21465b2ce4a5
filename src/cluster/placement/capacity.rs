//! How much a server may be given.

/// Bounds that placement never goes beyond, not even when every server is full. Joins into a meeting that is
/// placed are not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// People, those still expected included.
    pub people: Option<u32>,
    /// Meetings, without breakout rooms.
    pub meetings: Option<u32>,
}
