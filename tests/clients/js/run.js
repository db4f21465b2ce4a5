// One meeting's life through bigbluebutton-js as it is published, checked with the eyes of its user.
// BBB_URL and BBB_SECRET say where; RECORDING is the ID of a published recording of the meeting "old room".
'use strict'

const assert = require('assert')
const bbb = require('bigbluebutton-js')

const { BBB_URL, BBB_SECRET, RECORDING } = process.env
const { administration, monitoring, recording } = bbb.api(BBB_URL, BBB_SECRET)

async function succeed(url) {
  const answer = await bbb.http(url)
  assert.strictEqual(answer.returncode, 'SUCCESS', JSON.stringify(answer))
  return answer
}

async function fail(url, key) {
  const answer = await bbb.http(url)
  assert.deepStrictEqual([answer.returncode, answer.messageKey], ['FAILED', key])
}

// Follows a join URL as a browser does, with cookies; gives the page at its end.
async function browse(url) {
  const cookies = []
  for (let hops = 0; hops < 5; hops++) {
    const answer = await fetch(url, { redirect: 'manual', headers: { Cookie: cookies.join('; ') } })
    const cookie = answer.headers.get('set-cookie')
    if (cookie) cookies.push(cookie.split(';')[0])
    if (answer.status !== 302) {
      assert.strictEqual(answer.status, 200, url)
      return answer.text()
    }
    url = new URL(answer.headers.get('location'), url).href
  }
  assert.fail('too many redirects')
}

async function meetings() {
  assert.deepStrictEqual((await succeed(monitoring.getMeetings())).messageKey, 'noMeetings')
  await fail(monitoring.getMeetingInfo('js room'), 'notFound')
  assert.strictEqual((await succeed(monitoring.isMeetingRunning('js room'))).running, false)

  const options = { attendeePW: 'ap', moderatorPW: 'mp', welcome: 'Grüße & <b>all</b>', 'meta_origin-x': 'a (b) ~*' }
  const made = await succeed(administration.create('Maths & more', 'js room', options))
  assert.strictEqual(made.meetingID, 'js room')
  const again = await succeed(administration.create('Maths & more', 'js room', options))
  assert.strictEqual(again.createTime, made.createTime)
  assert.strictEqual(again.messageKey, 'duplicateWarning')
  await succeed(administration.create('Second', 'js room 2'))

  const page = await browse(administration.join('Ada Löve', 'js room', 'mp', { createTime: made.createTime }))
  assert.match(page, /Ada Löve/)
  assert.strictEqual((await succeed(monitoring.isMeetingRunning('js room'))).running, true)
  const info = await succeed(monitoring.getMeetingInfo('js room'))
  assert.deepStrictEqual(
    [info.meetingName, info.participantCount, info.moderatorCount, info.createTime],
    ['Maths &amp; more', 1, 1, made.createTime])
  assert.strictEqual(info.attendees.attendee.role, 'MODERATOR')
  assert.strictEqual(info.metadata['origin-x'], 'a (b) ~*')
  const listed = (await succeed(monitoring.getMeetings())).meetings
  assert.deepStrictEqual(listed.map((meeting) => meeting.meetingID).sort(), ['js room', 'js room 2'])

  await succeed(administration.end('js room', 'mp'))
  await succeed(administration.end('js room 2', ''))
}

async function recordings() {
  const list = async (options) => (await succeed(recording.getRecordings(options))).recordings
  assert.strictEqual((await succeed(recording.getRecordings({ meetingID: 'nobody' }))).messageKey, 'noRecordings')
  assert.strictEqual((await list({})).length, 4)
  const [found] = await list({ meetingID: 'old room' })
  assert.deepStrictEqual([found.recordID, found.published], [RECORDING, true])
  assert.match(found.playback.format.url, /^http/)

  assert.strictEqual((await succeed(recording.publishRecordings(RECORDING, false))).published, false)
  assert.strictEqual((await list({ recordID: RECORDING, state: 'unpublished' })).length, 1)
  await succeed(recording.updateRecordings(RECORDING, { meta_name: 'new name' }))
  assert.strictEqual((await list({ recordID: RECORDING, state: 'any' }))[0].metadata.name, 'new name')
  assert.strictEqual((await succeed(recording.deleteRecordings(RECORDING))).deleted, true)
  await fail(recording.deleteRecordings('unknown'), 'notFound')
}

async function strangers() {
  const wrong = bbb.api(BBB_URL, 'wrong').monitoring
  await fail(wrong.getMeetings(), 'checksumError')
}

meetings().then(recordings).then(strangers).catch((error) => {
  console.error(error)
  process.exit(1)
})
