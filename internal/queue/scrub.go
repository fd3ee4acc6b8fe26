package queue

import (
	"encoding/json"
	"net/http"
	"slices"
)

// scrub makes an answer of asynqmon's own API fit to be shown. Its errors quote Redis and are reduced to a word.
func scrub(sub string, body []byte, status int) ([]byte, int) {
	var answer any
	if status >= http.StatusBadRequest || json.Unmarshal(body, &answer) != nil {
		if status < http.StatusBadRequest || status == http.StatusInternalServerError {
			status = http.StatusServiceUnavailable
		}
		return []byte(`{"error":"unavailable"}`), status
	}
	if sub == "/api/redis_info" {
		answer = redisInfo(answer)
	}
	clean(answer)
	out, err := json.Marshal(answer)
	if err != nil {
		return []byte(`{"error":"unavailable"}`), http.StatusServiceUnavailable
	}
	return out, status
}

// clean reduces error texts at any depth to what cannot hold anybody's data: our codes and asynq's own sentences.
func clean(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			clean(e)
		}
	case map[string]any:
		for key, e := range v {
			if text, is := e.(string); is && key == "error_message" {
				v[key] = cleanError(text)
				continue
			}
			clean(e)
		}
	}
}

func cleanError(text string) string {
	own := []string{"", "asynq: task lease expired", "context deadline exceeded", "context canceled"}
	if aCode.MatchString(text) || slices.Contains(own, text) {
		return text
	}
	return "withheld"
}

// redisInfo keeps the figures that the page shows. The full text names paths, versions of libraries and hosts.
func redisInfo(v any) any {
	m, _ := v.(map[string]any)
	all, _ := m["info"].(map[string]any)
	info := map[string]any{}
	for _, key := range []string{
		"redis_version", "uptime_in_days", "connected_clients", "connected_slaves", "used_memory", "used_memory_human", "used_memory_peak",
		"used_memory_peak_human", "mem_fragmentation_ratio", "maxmemory_human", "maxmemory_policy", "aof_enabled", "role",
		"rdb_bgsave_in_progress", "rdb_last_save_time", "rdb_changes_since_last_save", "rdb_last_bgsave_status", "aof_last_write_status",
		"total_connections_received", "total_commands_processed", "instantaneous_ops_per_sec", "expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses",
	} {
		if value, has := all[key]; has {
			info[key] = value
		}
	}
	return map[string]any{"address": "", "info": info, "raw_info": "", "cluster": m["cluster"], "raw_cluster_nodes": "", "queue_locations": nil}
}
