package httpapi

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// otherAnswers are media types of successes that are no JSON of the operation's type, by GET operation and status; "" is an answer without a body.
var otherAnswers = map[string]map[int]string{
	"get-job":                 {http.StatusNotModified: ""},
	"fetch-export":            {http.StatusOK: "application/zip"},
	"follow-job":              {http.StatusOK: "text/event-stream"},
	"google-callback":         {http.StatusOK: "text/html", http.StatusFound: ""},
	"google-sign-in-callback": {http.StatusOK: "text/html", http.StatusFound: ""},
}

// describeAnswers writes them into the document.
func describeAnswers(op *huma.Operation) {
	if op == nil {
		return
	}
	for status, media := range otherAnswers[op.OperationID] {
		answer := &huma.Response{Description: http.StatusText(status)}
		if media != "" {
			answer.Content = map[string]*huma.MediaType{media: {}}
		}
		op.Responses[strconv.Itoa(status)] = answer
	}
}
