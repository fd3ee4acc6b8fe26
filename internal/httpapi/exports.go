package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// fetchTime is how long a reader may take for one piece of a file.
const fetchTime = time.Minute

type exportInput struct {
	Body struct {
		Password string `json:"password"`
		TOTP     string `json:"totp,omitempty" maxLength:"40" doc:"The code of the second factor, where one is set up"`
	} `nameHint:"AskExport"`
}

// ExportPath names an export in the path.
type ExportPath struct {
	ID string `path:"id" doc:"exp_…"`
}

type exportOutput struct{ Body account.ExportView }

type exportsOutput struct {
	Body struct {
		Items []account.ExportView `json:"items"`
	} `nameHint:"Exports"`
}

// exportRoutes are the copy of everything that is kept of an account.
func (s *server) exportRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/account/export", name: "export-account", role: sweep.Owner, tag: "account", status: 202,
		summary: "Ask for everything that is kept of the account and its people, as one ZIP of JSON and CSV; a mail says when it is ready; once a day"}, s.exportAccount)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/account/exports", name: "list-exports", role: sweep.Owner, tag: "account", summary: "The exports of the last days, newest first"}, s.exports)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/account/exports/{id}", name: "get-export", role: sweep.Owner, tag: "account", summary: "An export, and where its file is while it is ready"}, s.export)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/account/exports/{id}/file", name: "fetch-export", role: sweep.Owner, tag: "account", errors: []int{409},
		summary: "The file of an export, for a day"}, s.fetchExport)
}

func (s *server) exportAccount(ctx context.Context, in *exportInput) (*exportOutput, error) {
	v, err := s.Account.AskExport(ctx, actorOf(ctx), in.Body.Password, in.Body.TOTP, caller(ctx))
	return &exportOutput{Body: v}, err
}

func (s *server) exports(ctx context.Context, _ *struct{}) (*exportsOutput, error) {
	out := &exportsOutput{}
	var err error
	out.Body.Items, err = s.Account.Exports(ctx, actorOf(ctx))
	return out, err
}

func (s *server) export(ctx context.Context, in *ExportPath) (*exportOutput, error) {
	id, err := sweep.ExportID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.Account.Export(ctx, actorOf(ctx), id)
	return &exportOutput{Body: v}, err
}

// fetchExport sends the file piece by piece. Where that ends before the length that was said, the connection is closed, so the reader knows.
func (s *server) fetchExport(ctx context.Context, in *ExportPath) (*huma.StreamResponse, error) {
	id, err := sweep.ExportID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	file, err := s.Account.FetchExport(ctx, actorOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/zip")
		hc.SetHeader("Content-Length", strconv.FormatInt(file.Size, 10))
		hc.SetHeader("Content-Disposition", `attachment; filename="mailsweep-`+in.ID+`.zip"`)
		hc.SetStatus(http.StatusOK)
		for left := file.Size; left > 0; {
			piece, err := file.Next(hc.Context())
			if err != nil {
				s.Log.WarnContext(hc.Context(), "an export was cut off", "error", err)
				return
			}
			extend(hc.Context(), fetchTime)
			if _, err := hc.BodyWriter().Write(piece); err != nil {
				return
			}
			left -= int64(len(piece))
		}
	}}, nil
}
