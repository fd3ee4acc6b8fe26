package billing

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// WHK-1: whatever a body with a good signature holds, what is written down of it can be written down, and is bounded.
func FuzzStripeEvent(f *testing.F) {
	for _, body := range []string{
		`{"id":"evt_1","type":"customer.subscription.updated","livemode":false,"created":1777777777,"api_version":"2023-10-16","data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_1"}}}`,
		`{"id":"evt_1","type":"invoice.paid","livemode":true,"data":{"object":{"customer":{"id":"cus_1","email":"ada@example.com"}}}}`,
		`{"id":"evt_1","type":"customer.deleted","livemode":false,"data":{"object":{"object":"customer","id":"cus_1"}}}`,
		`{"id":"evt_1","type":"x","livemode":null}`, `{"id":"\u0000","type":"\u0000","livemode":false}`, `[]`, ``, `{"data":{"object":{"customer":7}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, ok := readEvent(body)
		if !ok {
			return
		}
		row := e.row(body)
		for name, text := range map[string]string{"id": row.ID, "kind": row.Kind, "object": row.Object, "customer": row.Customer, "version": row.Version} {
			if len(text) > 255 || !utf8.ValidString(text) {
				t.Fatalf("the %s is %d bytes of %q", name, len(text), text)
			}
		}
		if row.Raw != "" && !json.Valid([]byte(row.Raw)) {
			t.Fatalf("raw is no JSON: %q", row.Raw)
		}
	})
}
