package customer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"mailsweep/internal/sim/smtp"
)

var (
	tokenInLink = regexp.MustCompile(`token=([A-Za-z0-9_-]+)`)
	codeOnPage  = regexp.MustCompile(`<code[^>]*>([A-Za-z0-9_-]+)</code>`)
)

// SignUp signs the customer up and proves the address with the link of the mail that arrives in sink.
func (c *Client) SignUp(ctx context.Context, sink *smtp.Sink, password string) error {
	err := c.Do(ctx, http.MethodPost, "/api/v1/auth/signup", map[string]string{"email": c.Email, "password": password, "name": "Ada"}, nil)
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	m, err := sink.WaitFor(ctx, c.Email, "verify_email")
	if err != nil {
		return fmt.Errorf("no verification mail arrived: %w", err)
	}
	token := tokenInLink.FindStringSubmatch(m.Text)
	if token == nil {
		return errors.New("the verification mail has no link")
	}
	var session struct {
		AccessToken string `json:"access_token"`
		Customer    struct {
			ID string `json:"id"`
		} `json:"customer"`
	}
	if err := c.Do(ctx, http.MethodPost, "/api/v1/auth/verify-email", map[string]string{"token": token[1], "password": password}, &session); err != nil {
		return fmt.Errorf("verify the address: %w", err)
	}
	c.Token, c.ID = session.AccessToken, session.Customer.ID
	return nil
}

// Connect connects the mailbox of an address, going through the consent page as a browser would.
func (c *Client) Connect(ctx context.Context, address string) error {
	var started struct {
		AuthorizeURL string `json:"authorize_url"`
	}
	if err := c.Do(ctx, http.MethodPost, "/api/v1/mailboxes/connect", struct{}{}, &started); err != nil {
		return fmt.Errorf("connect a mailbox: %w", err)
	}
	consent, err := url.Parse(started.AuthorizeURL)
	if err != nil {
		return fmt.Errorf("read the authorize URL: %w", err)
	}
	q := consent.Query()
	q.Set("auto", "1")
	q.Set("login_hint", address)
	consent.RawQuery = q.Encode()
	code, err := visit(ctx, consent.String())
	if err != nil {
		return fmt.Errorf("open the consent page: %w", err)
	}
	if err := c.Do(ctx, http.MethodPost, "/api/v1/mailboxes/connect/complete", map[string]string{"state": code}, nil); err != nil {
		return fmt.Errorf("complete the connection: %w", err)
	}
	return nil
}

// visit consents as a browser would and gives the code that the page at the end shows.
func visit(ctx context.Context, address string) (code string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	shown := codeOnPage.FindSubmatch(page)
	if shown == nil {
		return "", fmt.Errorf("%s, and the page shows no code", resp.Status)
	}
	return string(shown[1]), nil
}
