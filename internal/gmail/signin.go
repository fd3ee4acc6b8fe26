package gmail

import (
	"context"
	"fmt"

	"golang.org/x/oauth2"
)

// signIn asks who somebody is and for nothing of theirs.
func (o *OAuth) signIn() *oauth2.Config {
	c := o.oauth2()
	c.RedirectURL, c.Scopes = o.Config.SignInRedirectURL, []string{"openid", "email", "profile"}
	return c
}

func nonceOption(nonce string) oauth2.AuthCodeOption { return oauth2.SetAuthURLParam("nonce", nonce) }

// SignInURL is where a person says to Google who they are. The account is asked for each time: a browser may be somebody else's.
func (o *OAuth) SignInURL(state, verifier, nonce string) string {
	return o.signIn().AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), nonceOption(nonce), oauth2.SetAuthURLParam("prompt", "select_account"))
}

// SignIn turns the code that came back into whom Google vouches for; nonce is the SHA-256 of the one in SignInURL. What else Google granted
// is let go. BadRequest: the code is void; ErrIdentity: Google's word cannot be believed; Unavailable: Google does not answer.
func (o *OAuth) SignIn(ctx context.Context, code, verifier string, nonce []byte) (Identity, error) {
	token, err := o.signIn().Exchange(context.WithValue(ctx, oauth2.HTTPClient, o.client()), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Identity{}, exchangeError(ctx, err)
	}
	return o.identity(ctx, token, nonce)
}

// Format names nobody under any verb.
func (Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }
