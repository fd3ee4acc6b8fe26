package google_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"

	"mailsweep/internal/sim/google"
)

// What the bench must not be slowed by: twice the whole project's quota, as the tariff of new projects has it.
const (
	projectPages = 1_200_000 / 60 / 5.0  // list pages a second
	projectGets  = 1_200_000 / 60 / 20.0 // gets a second
	projectSteps = 1_200_000 / 60 / 2.0  // history pages a second
)

// BenchmarkServing asks as our adapter does, with its masks and compressed, over eight connections of a client that decodes
// nothing. "HTTP alone" answers the same bytes without a Sim: what client and net/http cost is that row, the Sim's is the rest.
func BenchmarkServing(b *testing.B) {
	r := newRig(b, google.Config{Concurrency: 1000}, 100_000)
	list := url.Values{"maxResults": {"500"}, "fields": {"messages(id,threadId),nextPageToken"}, "prettyPrint": {"false"}, "alt": {"json"}}
	pages := r.pagesOf(b, "in:anywhere", list)
	b.Run("list", func(b *testing.B) { r.serving(b, pages, projectPages) })
	get := url.Values{"format": {"metadata"}, "metadataHeaders": {"From", "List-ID", "List-Unsubscribe", "List-Unsubscribe-Post"},
		"fields": {"id,threadId,labelIds,sizeEstimate,internalDate,payload/headers"}, "prettyPrint": {"false"}, "alt": {"json"}}
	var gets []string
	for _, id := range r.all(b, "newer_than:90d", false) {
		gets = append(gets, "/gmail/v1/users/me/messages/"+id+"?"+get.Encode())
	}
	b.Run("get", func(b *testing.B) { r.serving(b, gets, projectGets) })
	b.Run("history", func(b *testing.B) { r.serving(b, r.changes(b), projectSteps) })
}

// changes trashes ten thousand messages and gives the addresses of the history's first pages since.
func (r *rig) changes(b *testing.B) (out []string) {
	profile, err := r.svc.Users.GetProfile("me").Do()
	if err != nil {
		b.Fatal(err)
	}
	if err := r.sim.Relabel(me, r.all(b, "in:inbox", false)[:10_000], []string{"TRASH"}, []string{"INBOX"}); err != nil {
		b.Fatal(err)
	}
	form := url.Values{"maxResults": {"500"}, "startHistoryId": {strconv.FormatUint(profile.HistoryId, 10)}, "prettyPrint": {"false"},
		"fields": {"history(messagesAdded(message(id,threadId,labelIds)),messagesDeleted(message(id,threadId))," +
			"labelsAdded(message(id,threadId,labelIds),labelIds),labelsRemoved(message(id,threadId,labelIds),labelIds)),historyId,nextPageToken"}}
	call := r.svc.Users.History.List("me").StartHistoryId(profile.HistoryId).MaxResults(500)
	_ = call.Pages(r.ctx, func(p *gmail.ListHistoryResponse) error {
		out = append(out, "/gmail/v1/users/me/history?"+form.Encode())
		form.Set("pageToken", p.NextPageToken)
		return nil
	})
	return out
}

// pagesOf walks a listing once and gives the address of each page.
func (r *rig) pagesOf(b *testing.B, q string, form url.Values) (out []string) {
	call := r.svc.Users.Messages.List("me").Q(q).MaxResults(500)
	for token := ""; ; {
		form.Set("q", q)
		form.Set("pageToken", token)
		out = append(out, "/gmail/v1/users/me/messages?"+form.Encode())
		page, err := call.PageToken(token).Do()
		if err != nil {
			b.Fatal(err)
		}
		if token = page.NextPageToken; token == "" {
			return out
		}
	}
}

func (r *rig) serving(b *testing.B, paths []string, project float64) {
	tokens, err := r.sim.Grant(me)
	if err != nil {
		b.Fatal(err)
	}
	one := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, paths[0], nil)
	req.Header = http.Header{"Authorization": {"Bearer " + tokens.Access}, "Accept-Encoding": {"gzip"}, "User-Agent": {"bench (gzip)"}}
	r.sim.ServeHTTP(one, req)
	if one.Code != http.StatusOK {
		b.Fatal(one.Code, one.Body)
	}
	alone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range one.Header() {
			w.Header()[k] = v
		}
		_, _ = w.Write(one.Body.Bytes())
	}))
	defer alone.Close()
	b.Run("HTTP alone", func(b *testing.B) { ask(b, alone.URL, tokens.Access, paths, project) })
	b.Run("Sim", func(b *testing.B) { ask(b, r.url, tokens.Access, paths, project) })
}

// ask sends b.N requests over eight connections and tells the rate as a multiple of the project's quota.
func ask(b *testing.B, base, token string, paths []string, project float64) {
	const conns = 8
	host := strings.TrimPrefix(base, "http://")
	cpu := cpuTime()
	b.ResetTimer()
	var all sync.WaitGroup
	for k := range conns {
		all.Go(func() {
			c, err := net.Dial("tcp", host)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			in := bufio.NewReaderSize(c, 64<<10)
			for i := k; i < b.N; i += conns {
				_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept-Encoding: gzip\r\nUser-Agent: bench (gzip)\r\n\r\n", paths[i%len(paths)], host, token)
				if err := skipAnswer(in); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "calls/s")
	b.ReportMetric(rate/project, "x-project")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/call")
}

// skipAnswer reads one answer and keeps nothing of it.
func skipAnswer(in *bufio.Reader) error {
	size, first := 0, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.Contains(line, []byte(" 200 ")) {
			return fmt.Errorf("answered %s", line)
		}
		first = false
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
	_, err := io.CopyN(io.Discard, in, int64(size))
	return err
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
