package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

type contextKey int

const (
	clientKey contextKey = iota
	actorKey
	askedKey
	shownKey
	writerKey
)

func withClient(ctx context.Context, c account.Client) context.Context {
	return context.WithValue(ctx, clientKey, c)
}

func withActor(ctx context.Context, a sweep.Actor) context.Context {
	return context.WithValue(ctx, actorKey, a)
}

func withAsked(ctx context.Context, a asked) context.Context {
	return context.WithValue(ctx, askedKey, a)
}

// caller is who sent the request, as the edge saw it.
func caller(ctx context.Context) account.Client {
	c, _ := ctx.Value(clientKey).(account.Client)
	return c
}

// callerOn is the caller with the device that a body names.
func callerOn(ctx context.Context, device string) account.Client {
	c := caller(ctx)
	c.Device = device
	return c
}

// cookied is the caller to whom another session is given as this one was.
func cookied(c account.Client, a sweep.Actor) account.Client {
	c.Cookie = !a.Session.IsZero()
	return c
}

// shown is what a request shows of who sends it.
type shown struct {
	token   string // an access token or an API key: the one credential, or ""
	session string // the cookie of a session; the credential when token is ""
	origin  error  // why a cookie must not be used with it, nor set by it
}

// credential is the one that the request shows: with two of them nobody can tell who is meant, so they are none.
func credential(r *http.Request) shown {
	keys, bearers, cookies := r.Header.Values(keyHeader), r.Header.Values("Authorization"), r.CookiesNamed(cookieName)
	switch {
	case len(keys)+len(bearers)+len(cookies) != 1:
	case len(keys) == 1 && secret.IsAPIKey(keys[0]):
		return shown{token: keys[0]}
	case len(bearers) == 1:
		return shown{token: bearer(bearers[0])}
	case len(cookies) == 1:
		return shown{session: cookies[0].Value}
	}
	return shown{}
}

// bearer is the token of an Authorization header, or "".
func bearer(value string) string {
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func withShown(ctx context.Context, s shown) context.Context {
	return context.WithValue(ctx, shownKey, s)
}

// actorOf is who is calling. Operations that declare no security have the zero actor, which belongs to no customer.
func actorOf(ctx context.Context) sweep.Actor {
	a, _ := ctx.Value(actorKey).(sweep.Actor)
	return a
}

// shownOf is what the request showed, for answers that outlast it.
func shownOf(ctx context.Context) shown {
	s, _ := ctx.Value(shownKey).(shown)
	return s
}

const maxAgent = 200

// client describes the sender of r. The address was found by the extractor.
func client(r *http.Request, address string) account.Client {
	ip, _ := netip.ParseAddr(address)
	agent := strings.ToValidUTF8(r.UserAgent()[:min(len(r.UserAgent()), maxAgent)], "")
	return account.Client{IP: ip, UserAgent: agent, RequestID: telemetry.RequestID(r.Context())}
}

// extractor finds the address of the caller: the peer's own, unless the peer is one of our proxies. Then it is the right-most entry of
// X-Forwarded-For that is not a proxy of ours; everything to its left was written by strangers. Other headers are not looked at.
func extractor(trusted []netip.Prefix) func(*http.Request) string {
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) string {
		found, ok := address(r.RemoteAddr)
		if !ok {
			return ""
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			next, ok := address(strings.TrimSpace(hop))
			if !ours(found) || !ok {
				break
			}
			found = next
		}
		return found.String()
	}
}

// address reads an IP with or without port and brackets. An IPv4 address in IPv6 clothes is undressed; a zone is dropped.
func address(s string) (netip.Addr, bool) {
	if with, err := netip.ParseAddrPort(s); err == nil {
		return with.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// network is the unit in which strangers are counted: an IPv4 address, or the /64 of an IPv6 one, which is one line's.
func network(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
