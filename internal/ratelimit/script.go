package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// All keys share one hash tag, so that those of a booking live on one node of a cluster. The project's bucket and an account's
// are hashes of the same fields.
const (
	keyPrefix  = "{gmail}:"
	projectKey = keyPrefix + "all"
)

func accountKey(account string) string { return keyPrefix + "account:" + account }
func slotsKey(account string) string   { return keyPrefix + "slots:" + account }
func flowKey(account string) string    { return keyPrefix + "flow:" + account }
func dayKey(day string) string         { return keyPrefix + "day:" + day }

// Bounds of the calls in flight at one account. Google refuses beyond a number that it does not tell; reports put it near 10,
// shared by all programs that use the mailbox. Where nothing was refused placesStart is borne.
const (
	placesMin   = 2
	placesStart = 8
	placesMax   = 10
	// roundsToMore is after how many rounds of calls that went well, each as many as are borne, one more is let in.
	roundsToMore = 4
)

const (
	flowKept = time.Hour      // what is learnt of an account's places is forgotten after
	dayKept  = 48 * time.Hour // the ledger of a day, which a clock that is late may still ask for
)

// lua puts the numbers that Go decides by into a script, so that both decide by the same.
func lua(script string) string {
	names := strings.NewReplacer("SHARE_BACK", fmt.Sprint(shareBack), "PLACES_MAX", fmt.Sprint(placesMax), "ROUNDS", fmt.Sprint(roundsToMore),
		"FLOW_KEPT", fmt.Sprint(flowKept.Milliseconds()), "DAY_KEPT", fmt.Sprint(dayKept.Milliseconds()))
	return names.Replace(script)
}

func newScript(body string) *redis.Script { return redis.NewScript(lua(prelude + body)) }

// prelude is what the scripts share. share is bucket.shareAt. leave gives places back and lets one more call in after so many rounds of
// successes; it answers how many are borne now, what nobody knows being what the caller remembers.
const prelude = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(n) return string.format('%.0f', n) end
local function share(b, minute)
  if b.share == 0 then return 1 end
  return math.min(1, b.share + SHARE_BACK * (now - b.learnt) / minute)
end
local function load(key, full, closed, shared, learnt)
  local seen = redis.call('HMGET', key, 'full', 'closed', 'share', 'learnt')
  local b = {share = tonumber(seen[3] or 0), learnt = tonumber(seen[4] or 0)}
  if tonumber(learnt) > b.learnt then b.share, b.learnt = tonumber(shared), tonumber(learnt) end
  b.full, b.closed = math.max(tonumber(seen[1] or 0), tonumber(full)), math.max(tonumber(seen[2] or 0), tonumber(closed))
  return b
end
local function save(key, b, minute)
  redis.call('HSET', key, 'full', text(b.full), 'closed', text(b.closed), 'share', b.share, 'learnt', text(b.learnt))
  local last = math.max(b.full, b.closed, now + (1 - share(b, minute)) / SHARE_BACK * minute)
  redis.call('PEXPIRE', key, math.ceil((last - now) / 1000) + 1000)
end
local function leave(slots, flow, known, well, first)
  for i = first, #ARGV do redis.call('ZREM', slots, ARGV[i]) end
  local seen = redis.call('HMGET', flow, 'places', 'run')
  local places, run = tonumber(seen[1] or known), tonumber(seen[2] or 0) + tonumber(well)
  if tonumber(well) == 0 then return places end
  if run >= ROUNDS * places and places < PLACES_MAX then places, run = places + 1, 0 end
  redis.call('HSET', flow, 'places', places, 'run', run)
  redis.call('PEXPIRE', flow, FLOW_KEPT)
  return places
end
`

// enterScript gives back places that this process no longer needs, and takes one place (unless no name for it is given) and the
// units, or neither. What the caller remembers of both buckets counts because Redis may have been emptied or away since.
// It answers the time, the start, 1 (booked), 0 (too long) or -1 (no place is left), both buckets, the places borne, and what the project has
// booked of its day.
var enterScript = newScript(`
local units, longest, minute = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local a = load(KEYS[1], ARGV[8], ARGV[9], ARGV[10], ARGV[11])
local p = load(KEYS[2], ARGV[12], ARGV[13], 0, 0)
local id, lease = ARGV[14], tonumber(ARGV[15])
local places = leave(KEYS[3], KEYS[4], ARGV[16], ARGV[17], 19)
local day = math.max(tonumber(redis.call('GET', KEYS[5]) or 0), tonumber(ARGV[18]))
local function answer(start, ok)
  return {text(now), text(start), ok, text(a.full), text(a.closed), tostring(a.share), text(a.learnt), text(p.full), text(p.closed), places, text(day)}
end
if id ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  if redis.call('ZCARD', KEYS[3]) >= places then return answer(now, -1) end
end
local costA, burstA = units * tonumber(ARGV[4]) / share(a, minute), tonumber(ARGV[5])
local costP, burstP = units * tonumber(ARGV[6]), tonumber(ARGV[7])
local startP = math.max(now, p.closed, p.full + costP - burstP)
local start = math.max(startP, a.closed, a.full + costA - burstA)
if start - now > longest then return answer(start, 0) end
a.full, p.full = math.max(start, a.full) + costA, math.max(startP, p.full) + costP
save(KEYS[1], a, minute)
save(KEYS[2], p, minute)
day = day + units
redis.call('SET', KEYS[5], text(day), 'PX', DAY_KEPT)
if id ~= '' then
  redis.call('ZADD', KEYS[3], text(now + lease), id)
  local keep = math.ceil(lease / 1000) + 1000
  if redis.call('PTTL', KEYS[3]) < keep then redis.call('PEXPIRE', KEYS[3], keep) end
end
return answer(start, 1)
`)

// leaveScript gives places back when no call follows that could do it.
var leaveScript = newScript(`return leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 3)`)

// closeScript takes the microseconds left, those of a minute, and the bucket's burst.
var closeScript = newScript(`
local opens, minute = now + tonumber(ARGV[1]), tonumber(ARGV[2])
local b = load(KEYS[1], opens + tonumber(ARGV[3]), opens, 0, 0)
save(KEYS[1], b, minute)
return 1
`)

// slowScript is bucket.slower: when the refused call began, the microseconds of a minute, the share that is left of the share, the
// floor, and what the caller remembers. It answers the share and when it was learnt.
var slowScript = newScript(`
local minute, b = tonumber(ARGV[2]), load(KEYS[1], 0, 0, ARGV[5], ARGV[6])
if tonumber(ARGV[1]) >= b.learnt then
  b.share, b.learnt = math.max(tonumber(ARGV[4]), tonumber(ARGV[3]) * share(b, minute)), now
  save(KEYS[1], b, minute)
end
return {tostring(b.share), text(b.learnt)}
`)

// crowdScript halves the places, once for all calls that were on their way together: when the refused call began, the places
// that the caller remembers and the fewest. It answers how many are left.
var crowdScript = newScript(`
local seen = redis.call('HMGET', KEYS[1], 'places', 'cut')
local places = tonumber(seen[1] or ARGV[2])
if tonumber(ARGV[1]) < tonumber(seen[2] or 0) then return places end
places = math.max(tonumber(ARGV[3]), math.floor(places / 2))
redis.call('HSET', KEYS[1], 'places', places, 'run', 0, 'cut', text(now))
redis.call('PEXPIRE', KEYS[1], FLOW_KEPT)
return places
`)

// renewScript renews a slot that is still held: one that was given back meanwhile stays free.
var renewScript = redis.NewScript(`
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local t, lease = redis.call('TIME'), tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', t[1] * 1000000 + t[2] + lease), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000) + 1000)
return 1
`)
