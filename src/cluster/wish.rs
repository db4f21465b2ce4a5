//! What a create says about the meeting it wants, as far as placement cares.

use crate::cluster::placement::tags::TagWish;

/// A create's wishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// How many people will come, if the front end knows: `meta_bbb-meeting-size-hint`.
    pub size_hint: Option<u32>,
    /// Which servers it may use: `meta_server-tag`.
    pub tags: TagWish,
}
