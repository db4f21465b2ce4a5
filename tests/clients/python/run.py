"""One meeting's life through bigbluebutton-api-python as it is published, checked with the eyes of its user.

BBB_URL and BBB_SECRET say where; RECORDING is the ID of a published recording of the meeting "old room".
"""

import os
from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor, build_opener

from bigbluebutton_api_python import BigBlueButton
from bigbluebutton_api_python.exception import BBBException

URL, SECRET, RECORDING = (os.environ[name] for name in ("BBB_URL", "BBB_SECRET", "RECORDING"))
bbb = BigBlueButton(URL + "/api/", SECRET)


def fails(key, call, *arguments):
    try:
        answer = call(*arguments)
    except BBBException as failure:
        assert failure.key == key, failure.key
    else:
        raise AssertionError(f"{call.__name__} gave {answer}")


def meetings():
    assert bbb.get_api_version().get_version() == "2.0"
    assert bbb.get_meetings().get_meetings() == []
    fails("notFound", bbb.get_meeting_info, "py room")
    assert not bbb.is_meeting_running("py room").is_meeting_running()

    params = {"name": "Maths & more", "attendeePW": "ap", "moderatorPW": "mp", "record": True}
    made = bbb.create_meeting("py room", dict(params), {"origin-x": "a (b) ~*"})
    assert made.get_meetingid() == "py room" and made.get_moderator_pw() == "mp"
    again = bbb.create_meeting("py room", dict(params), {"origin-x": "a (b) ~*"})
    assert again.get_field("createTime") == made.get_field("createTime")
    assert again.get_message_key() == "duplicateWarning"
    bbb.create_meeting("py room 2", {"name": "Second"})

    join = bbb.get_join_meeting_url("Ada Löve", "py room", "mp", {"createTime": made.get_field("createTime")})
    page = build_opener(HTTPCookieProcessor(CookieJar())).open(join).read().decode()
    assert "Ada Löve" in page, page
    assert bbb.is_meeting_running("py room").is_meeting_running()
    answer = bbb.get_meeting_info("py room")
    info = answer.get_meetinginfo()
    assert (info.get_meetingname(), info.get_participantcount()) == ("Maths & more", 1)
    assert info.get_internal_meetingid() == made.get_field("internalMeetingID")
    assert [person.get_role() for person in answer.get_attendees()] == ["MODERATOR"]
    listed = bbb.get_meetings().get_meetings()
    assert sorted(meeting.get_meetingid() for meeting in listed) == ["py room", "py room 2"]

    bbb.end_meeting("py room", "mp")
    bbb.end_meeting("py room 2", "")


def recordings():
    assert bbb.get_recordings(meeting_id="nobody").get_recordings() == []
    # It sends parameters that were not given as empty ones.
    assert len(bbb.get_recordings().get_recordings()) == 4
    both = bbb.get_recordings(meeting_id="old room,other room").get_recordings()
    assert sorted(one.get_meetingid() for one in both) == ["old room", "other room"]
    assert all(one.is_published() and one.get_playbackurl().startswith("http") for one in both)
    assert RECORDING in [one.get_recordid() for one in both]

    assert not bbb.publish_recordings(RECORDING, False).is_published()
    assert bbb.update_recordings(RECORDING, {"name": "new name"}).is_updated()
    assert bbb.delete_recordings(RECORDING).is_deleted()
    fails("notFound", bbb.delete_recordings, "unknown")


def strangers():
    fails("checksumError", BigBlueButton(URL + "/api/", "wrong").get_meetings)


meetings()
recordings()
strangers()
