package httpapi_test

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
)

// GDP-1: the whole way over HTTP: asked for, made by a worker, told by mail, fetched, and nobody else's.
func TestAnExportIsFetchedOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token, other := r.member(t, "ada@example.com"), r.member(t, "bob@example.com")
	problem(t, r.call(t, "POST", "/api/v1/account/export", token, `{"password":"wrong"}`), 401, "unauthenticated")
	asked := r.call(t, "POST", "/api/v1/account/export", token, `{"password":"`+good+`"}`)
	require.Equal(t, 202, asked.StatusCode, string(asked.body))
	path := "/api/v1/account/exports/" + asked.object(t)["id"].(string)
	problem(t, r.call(t, "GET", path+"/file", token, ""), 409, "conflict")
	require.NotEmpty(t, problem(t, r.call(t, "POST", "/api/v1/account/export", token, `{"password":"`+good+`"}`), 429, "rate_limited"))
	r.deliverAll(t) // makes it
	r.deliverAll(t) // tells it
	m, err := r.sink.WaitFor(t.Context(), "ada@example.com", string(mail.ExportReady))
	require.NoError(t, err)
	require.Contains(t, m.Text, "/settings/export")
	view := r.call(t, "GET", path, token, "").object(t)
	require.Equal(t, "ready", view["state"])
	require.Equal(t, path+"/file", view["download"])
	require.Len(t, r.call(t, "GET", "/api/v1/account/exports", token, "").object(t)["items"], 1)
	file := r.call(t, "GET", path+"/file", token, "")
	require.Equal(t, 200, file.StatusCode)
	require.Equal(t, []string{"application/zip", "no-store"}, []string{file.Header.Get("Content-Type"), file.Header.Get("Cache-Control")})
	require.Contains(t, file.Header.Get("Content-Disposition"), "attachment")
	require.EqualValues(t, view["bytes"], len(file.body))
	z, err := zip.NewReader(bytes.NewReader(file.body), int64(len(file.body)))
	require.NoError(t, err)
	people, err := z.Open("users.json")
	require.NoError(t, err)
	text, err := io.ReadAll(people)
	require.NoError(t, err)
	require.Contains(t, string(text), "ada@example.com")
	require.NotContains(t, string(text), "bob@example.com")
	for _, p := range []string{path, path + "/file"} {
		problem(t, r.call(t, "GET", p, other, ""), 404, "not_found")
	}
	require.Empty(t, r.call(t, "GET", "/api/v1/account/exports", other, "").object(t)["items"])

	// who reads while it goes away sees that it is not whole
	_, err = r.root.Exec(t.Context(), "DELETE FROM export_parts")
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path+"/file", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := plain.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
