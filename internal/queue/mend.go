package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

const (
	lentLease    = 30   // seconds, as asynq's own; it takes a task for lost 30 s after that
	searchedKeys = 300  // keys looked at in one sweep of one line
	longPending  = 5000 // a line with more waiting tasks than that is not compared with its tasks
)

// mender keeps asynq's keys consistent with each other, where asynq itself leaves them broken after keys were lost. Every script names
// keys of one line, so that it runs on the one master that holds the line.
type mender struct {
	redis    redis.UniversalClient
	repaired func(what Reason, n int)
	log      *slog.Logger
	cursors  map[string]string // where the search for orphans goes on, by line
}

func (m *mender) mend(ctx context.Context) (err error) {
	for _, line := range lines() {
		err = errors.Join(err, m.active(ctx, line), m.orphans(ctx, line))
	}
	return err
}

// activeScript makes active list and leases of a line agree.
//
// An active id without a task makes every listing of every queue fail: it is dropped. An active task without a lease would end by half and
// leave its hash behind, and nobody would miss its worker: it gets a lease, which a living worker renews, and asynq's recoverer sees end
// if there is none. A lease of what is not active is dropped.
var activeScript = redis.NewScript(`
local now, active = tonumber(redis.call("TIME")[1]), {}
local dropped, lent, spare = 0, 0, 0
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  active[id] = true
  if redis.call("HEXISTS", ARGV[1] .. id, "msg") == 0 then
    redis.call("LREM", KEYS[1], 0, id)
    redis.call("ZREM", KEYS[2], id)
    redis.call("DEL", ARGV[1] .. id)
    dropped = dropped + 1
  elseif not redis.call("ZSCORE", KEYS[2], id) then
    redis.call("ZADD", KEYS[2], now + tonumber(ARGV[2]), id)
    lent = lent + 1
  end
end
for _, id in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
  if not active[id] then
    redis.call("ZREM", KEYS[2], id)
    spare = spare + 1
  end
end
return {dropped, lent, spare}`)

func (m *mender) active(ctx context.Context, line string) error {
	k := keysOf(line)
	n, err := activeScript.Run(ctx, m.redis, []string{k.of("active"), k.of("lease")}, k.task(""), lentLease).Int64Slice()
	if err != nil {
		return fmt.Errorf("mend %s: %w", line, err)
	}
	m.tell(ctx, IDDropped, line, int(n[0]))
	m.tell(ctx, LeaseLent, line, int(n[1]))
	m.tell(ctx, LeaseSpare, line, int(n[2]))
	return nil
}

// orphanScript looks at some keys from a cursor on and drops the line's tasks that stand in none of its lists: nobody would ever work on
// them, list them or delete them, and their ids would be taken for ever.
var orphanScript = redis.NewScript(`
local page = redis.call("SCAN", ARGV[2], "MATCH", ARGV[1] .. "*", "COUNT", ARGV[3])
local long = redis.call("LLEN", KEYS[1]) > tonumber(ARGV[4])
local listed
local function waits(id)
  if not listed then
    listed = {}
    for n = 1, 2 do
      for _, other in ipairs(redis.call("LRANGE", KEYS[n], 0, -1)) do listed[other] = true end
    end
  end
  return listed[id]
end
local function scheduled(id)
  for n = 3, #KEYS do
    if redis.call("ZSCORE", KEYS[n], id) then return true end
  end
end
local dropped = 0
for _, key in ipairs(page[2]) do
  local id = string.sub(key, #ARGV[1] + 1)
  if not long and not scheduled(id) and not waits(id) then
    redis.call("DEL", key)
    dropped = dropped + 1
  end
end
return {page[1], dropped}`)

// orphans goes once round all keys in many sweeps.
func (m *mender) orphans(ctx context.Context, line string) error {
	k := keysOf(line)
	keys := []string{k.of("pending"), k.of("active"), k.of("scheduled"), k.of("retry"), k.of("archived"), k.of("completed")}
	got, err := orphanScript.Run(ctx, m.redis, keys, k.task(""), cmp.Or(m.cursors[line], "0"), searchedKeys, longPending).Slice()
	if err != nil {
		return fmt.Errorf("look for orphans of %s: %w", line, err)
	}
	m.cursors[line] = got[0].(string)
	m.tell(ctx, TaskDropped, line, int(got[1].(int64)))
	return nil
}

func (m *mender) tell(ctx context.Context, what Reason, line string, n int) {
	if n == 0 {
		return
	}
	m.log.WarnContext(ctx, "queue mended", "what", string(what), "queue", line, "n", n)
	m.repaired(what, n)
}

// keysOf names asynq's keys of one line. The braces keep them on one master of a cluster.
type keysOf string

func (k keysOf) of(list string) string { return "asynq:{" + string(k) + "}:" + list }
func (k keysOf) task(id string) string { return k.of("t:" + id) }
