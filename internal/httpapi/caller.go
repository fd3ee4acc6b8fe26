package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

type contextKey int

const (
	clientKey contextKey = iota
	actorKey
	askedKey
	tokenKey
	writerKey
)

func withClient(ctx context.Context, c account.Client) context.Context {
	return context.WithValue(ctx, clientKey, c)
}

func withActor(ctx context.Context, a sweep.Actor, token string) context.Context {
	return context.WithValue(context.WithValue(ctx, actorKey, a), tokenKey, token)
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

// actorOf is who is calling. Operations that declare no security have the zero actor, which belongs to no customer.
func actorOf(ctx context.Context) sweep.Actor {
	a, _ := ctx.Value(actorKey).(sweep.Actor)
	return a
}

// tokenOf is what the actor signed in with, for answers that outlast it.
func tokenOf(ctx context.Context) string {
	t, _ := ctx.Value(tokenKey).(string)
	return t
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
