package google

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"testing"
)

func TestCompressedBodiesAreReadByEveryReader(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	bodies := [][]byte{nil, []byte("a"), []byte("abcabcabcabc"), bytes.Repeat([]byte("x"), 70_000)}
	for _, alphabet := range []int{2, 16, 256} {
		for range 30 {
			var body []byte
			for want := rng.IntN(100_000); len(body) < want; {
				if from := rng.IntN(len(body) + 1); rng.IntN(3) == 0 && from < len(body) {
					body = append(body, body[from:min(len(body), from+rng.IntN(600))]...)
					continue
				}
				body = append(body, byte(rng.IntN(alphabet)))
			}
			bodies = append(bodies, body)
		}
	}
	for _, body := range bodies {
		r, err := gzip.NewReader(bytes.NewReader(zip(nil, body)))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%d bytes became %d: %v", len(body), len(back), err)
		}
	}
}

func BenchmarkZip(b *testing.B) {
	list := messageList{}
	for i := range uint64(500) {
		id := hexID(1_763_900_000_000-i*700_001)<<20 | hexID(i*0x9E3779B97F4A7C15>>44)
		list.Messages = append(list.Messages, listedMessage{ID: id, ThreadID: id})
	}
	body, err := encode(nil, list, "")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(float64(len(zip(nil, body)))/float64(len(body)), "ratio")
		}
	})
	b.Run("library", func(b *testing.B) {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		for b.Loop() {
			var out bytes.Buffer
			z.Reset(&out)
			_, _ = z.Write(body)
			_ = z.Close()
			b.ReportMetric(float64(out.Len())/float64(len(body)), "ratio")
		}
	})
}
