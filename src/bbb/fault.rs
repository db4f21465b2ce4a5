//! BBB's failure replies: every `messageKey` and its message, one constructor each, all of them here.
//!
//! Texts are BBB's own (`bbb-api.md` 1.6, 2, 3.4) where BBB would answer, Scalelite's where only a balancer
//! answers (`scalelite.md` 1.2), so that front ends meet what they know.

use std::borrow::Cow;

/// A FAILED reply. HTTP status 200 always (design rule 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `messageKey`, what programs decide by.
    pub key: &'static str,
    /// `message`, for people.
    pub message: Cow<'static, str>,
}

impl Fault {
    const fn new(key: &'static str, message: &'static str) -> Self {
        Self { key, message: Cow::Borrowed(message) }
    }

    /// No checksum, or an empty one.
    pub fn checksum_missing() -> Self {
        Self::new("checksumError", "You must provide the checksum")
    }

    /// Wrong digest, unknown length, or more than one.
    pub fn checksum_mismatch() -> Self {
        Self::new("checksumError", "Checksums do not match")
    }

    /// What the recording calls say to either.
    pub fn checksum_of_recordings() -> Self {
        Self::new("checksumError", "You did not pass the checksum security check")
    }

    /// No meetingID where one is required.
    pub fn meeting_id_missing() -> Self {
        Self::new("missingParamMeetingID", "You must provide a meeting ID")
    }

    /// getMeetingInfo, end and most others of a meeting that does not exist.
    pub fn meeting_not_found() -> Self {
        Self::new("notFound", "A meeting with that ID does not exist")
    }

    /// sendChatMessage of one, which has a key of its own (`bbb-api.md` 2.9).
    pub fn chat_meeting_not_found() -> Self {
        Self::new("meetingNotFound", "Meeting not found")
    }

    /// No recordID where one is required.
    pub fn record_id_missing() -> Self {
        Self::new("missingParamRecordID", "You must specify a recordID.")
    }

    /// publishRecordings without saying which way.
    pub fn publish_missing() -> Self {
        Self::new("missingParamPublish", "You must specify a publish value true or false.")
    }

    /// What the text-track calls say of a recording that does not exist (`bbb-api.md` 2.10).
    pub fn text_track_recording_not_found(record_id: &str) -> Self {
        let message = format!("No recording found for {record_id}");
        Self { key: "noRecordings", message: Cow::Owned(message) }
    }

    /// None of the recordings asked for exists.
    pub fn recordings_not_found() -> Self {
        Self::new("notFound", "We could not find recordings")
    }

    /// hooks/create without a URL (`bbb-api.md` 2.11).
    pub fn hook_url_missing() -> Self {
        Self::new("missingParamCallbackURL", "You must specify a callbackURL in the parameters.")
    }

    /// hooks/create of what cannot be made, or that no server took.
    pub fn hook_not_created() -> Self {
        Self::new("createHookError", "An error happened while creating your hook. Check the logs.")
    }

    /// hooks/destroy without an ID.
    pub fn hook_id_missing() -> Self {
        Self::new("missingParamHookID", "You must specify a hookID in the parameters.")
    }

    /// hooks/destroy of what there is not.
    pub fn hook_not_found() -> Self {
        Self::new("destroyMissingHook", "The hook informed was not found.")
    }

    /// No such call, or not with this method.
    pub fn unsupported() -> Self {
        Self::new("unsupportedRequest", "This request is not supported.")
    }

    /// A body of a type that the call does not take (`bbb-api.md` 1.5).
    pub fn unsupported_content_type() -> Self {
        Self::new("unsupportedContentType", "POST request Content-Type is missing or unsupported")
    }

    /// No server may take a new meeting.
    pub fn no_server() -> Self {
        Self::new("internalError", "Could not find any available servers.")
    }

    /// No server has a tag that a create insists on, `tags` (`scalelite.md` CR3).
    pub fn tag_unavailable(tags: &str) -> Self {
        let message = format!("There is no available server with the required tag={tags}.");
        Self { key: "serverTagUnavailable", message: Cow::Owned(message) }
    }

    /// The server of a create did not give a usable answer.
    pub fn create_failed() -> Self {
        Self::new("internalError", "Unable to create meeting on server.")
    }

    /// The meeting's server did not give a usable answer. Never `notFound`: Moodle would create the
    /// meeting a second time (`clients.md` 9).
    pub fn meeting_unreachable() -> Self {
        Self::new("internalError", "Unable to access meeting on server.")
    }

    /// A call that needs all servers misses one.
    pub fn server_unreachable() -> Self {
        Self::new("internalError", "Unable to access server.")
    }

    /// A join into a meeting whose server is down.
    pub fn server_unavailable() -> Self {
        Self::new("serverUnavailable", "The server for this meeting is disabled/offline.")
    }

    /// The body is larger than the call allows.
    pub fn body_too_large(limit_bytes: u64) -> Self {
        let message = format!("The request body is larger than {limit_bytes} bytes.");
        Self { key: "requestTooLarge", message: Cow::Owned(message) }
    }

    /// More or longer header lines than any client needs.
    pub fn header_too_large() -> Self {
        Self::new("requestTooLarge", "The request header is too large.")
    }

    /// A request that two programs could read in two ways; nobody means well with it.
    pub fn malformed_request() -> Self {
        Self::new("malformedRequest", "The request is malformed.")
    }

    /// More large bodies at the same time than there is room for.
    pub fn too_busy() -> Self {
        Self::new("internalError", "Too many large requests at the same time. Please try again.")
    }

    /// More requests of one client than it may send. A key of its own, never `notFound`: front ends show the
    /// message and ask again.
    pub fn too_many_requests() -> Self {
        Self::new("tooManyRequests", "Too many requests. Please try again in a few seconds.")
    }

    /// A join while the meeting is still being made.
    pub fn meeting_not_ready() -> Self {
        Self::new("notFound", "The meeting is being created. Please try again in a few seconds.")
    }

    /// The request could not be read to its end.
    pub fn request_incomplete() -> Self {
        Self::new("requestIncomplete", "The request body ended before it was complete.")
    }

    /// Something in tinyscale itself went wrong.
    pub fn internal() -> Self {
        Self::new("internalError", "The request could not be completed.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: impl IntoIterator<Item = (Fault, &'static str, &'static str)>) {
        for (fault, key, message) in told {
            assert_eq!((fault.key, &*fault.message), (key, message));
        }
    }

    /// Programs compare keys, and people search for messages: neither changes by chance. Keys and texts are
    /// written out a second time on purpose.
    #[test]
    fn keys_and_messages_where_bbb_would_answer() {
        check([
            (Fault::checksum_missing(), "checksumError", "You must provide the checksum"),
            (Fault::checksum_mismatch(), "checksumError", "Checksums do not match"),
            (
                Fault::checksum_of_recordings(),
                "checksumError",
                "You did not pass the checksum security check",
            ),
            (Fault::meeting_id_missing(), "missingParamMeetingID", "You must provide a meeting ID"),
            (Fault::meeting_not_found(), "notFound", "A meeting with that ID does not exist"),
            (Fault::chat_meeting_not_found(), "meetingNotFound", "Meeting not found"),
            (Fault::record_id_missing(), "missingParamRecordID", "You must specify a recordID."),
            (
                Fault::publish_missing(),
                "missingParamPublish",
                "You must specify a publish value true or false.",
            ),
            (
                Fault::text_track_recording_not_found("r-1"),
                "noRecordings",
                "No recording found for r-1",
            ),
            (Fault::recordings_not_found(), "notFound", "We could not find recordings"),
            (
                Fault::hook_url_missing(),
                "missingParamCallbackURL",
                "You must specify a callbackURL in the parameters.",
            ),
            (
                Fault::hook_not_created(),
                "createHookError",
                "An error happened while creating your hook. Check the logs.",
            ),
            (
                Fault::hook_id_missing(),
                "missingParamHookID",
                "You must specify a hookID in the parameters.",
            ),
            (Fault::hook_not_found(), "destroyMissingHook", "The hook informed was not found."),
            (Fault::unsupported(), "unsupportedRequest", "This request is not supported."),
            (
                Fault::unsupported_content_type(),
                "unsupportedContentType",
                "POST request Content-Type is missing or unsupported",
            ),
        ]);
    }

    #[test]
    fn keys_and_messages_where_only_a_balancer_answers() {
        check([
            (Fault::no_server(), "internalError", "Could not find any available servers."),
            (
                Fault::tag_unavailable("a,b"),
                "serverTagUnavailable",
                "There is no available server with the required tag=a,b.",
            ),
            (Fault::create_failed(), "internalError", "Unable to create meeting on server."),
            (Fault::meeting_unreachable(), "internalError", "Unable to access meeting on server."),
            (Fault::server_unreachable(), "internalError", "Unable to access server."),
            (
                Fault::server_unavailable(),
                "serverUnavailable",
                "The server for this meeting is disabled/offline.",
            ),
            (
                Fault::body_too_large(7),
                "requestTooLarge",
                "The request body is larger than 7 bytes.",
            ),
            (Fault::header_too_large(), "requestTooLarge", "The request header is too large."),
            (Fault::malformed_request(), "malformedRequest", "The request is malformed."),
            (
                Fault::too_busy(),
                "internalError",
                "Too many large requests at the same time. Please try again.",
            ),
            (
                Fault::meeting_not_ready(),
                "notFound",
                "The meeting is being created. Please try again in a few seconds.",
            ),
            (
                Fault::request_incomplete(),
                "requestIncomplete",
                "The request body ended before it was complete.",
            ),
            (Fault::internal(), "internalError", "The request could not be completed."),
        ]);
    }
}
