package secret

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/option"
)

// KEKScheme begins the name of a key in Google Cloud KMS, in the form that Tink has for it.
const KEKScheme = "gcp-kms://"

// CloudKEK is a key in Google Cloud KMS that keysets are encrypted under. It never leaves there.
type CloudKEK struct {
	name string
	keys *cloudkms.ProjectsLocationsKeyRingsCryptoKeysService
}

// NewCloudKEK takes gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K and the login that the machine has at Google. With an
// endpoint it asks there instead of at Google; insecure asks without a login, for a stand-in.
func NewCloudKEK(ctx context.Context, uri, endpoint string, insecure bool) (*CloudKEK, error) {
	name, ok := strings.CutPrefix(uri, KEKScheme)
	if !ok {
		return nil, fmt.Errorf("key of keysets: it must begin with %s", KEKScheme)
	}
	var options []option.ClientOption
	if endpoint != "" {
		options = append(options, option.WithEndpoint(strings.TrimRight(endpoint, "/")+"/"))
	}
	if insecure {
		options = append(options, option.WithoutAuthentication())
	}
	service, err := cloudkms.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("key of keysets: %w", err)
	}
	return &CloudKEK{name, service.Projects.Locations.KeyRings.CryptoKeys}, nil
}

var errGarbled = errors.New("the answer of the key management was garbled on its way")

// EncryptWithContext implements tink.AEADWithContext. Both sides compare checksums.
func (k *CloudKEK) EncryptWithContext(ctx context.Context, plain, place []byte) ([]byte, error) {
	answer, err := k.keys.Encrypt(k.name, &cloudkms.EncryptRequest{
		Plaintext: base64.StdEncoding.EncodeToString(plain), PlaintextCrc32c: checksum32(plain),
		AdditionalAuthenticatedData: base64.StdEncoding.EncodeToString(place), AdditionalAuthenticatedDataCrc32c: checksum32(place),
		ForceSendFields: []string{"PlaintextCrc32c", "AdditionalAuthenticatedDataCrc32c"},
	}).Context(ctx).Do()
	if err != nil {
		return nil, fmt.Errorf("encrypt under %s: %w", k.name, err)
	}
	sealed, err := base64.StdEncoding.DecodeString(answer.Ciphertext)
	if err != nil || !answer.VerifiedPlaintextCrc32c || !answer.VerifiedAdditionalAuthenticatedDataCrc32c || answer.CiphertextCrc32c != checksum32(sealed) {
		return nil, errGarbled
	}
	return sealed, nil
}

// DecryptWithContext implements tink.AEADWithContext.
func (k *CloudKEK) DecryptWithContext(ctx context.Context, sealed, place []byte) ([]byte, error) {
	answer, err := k.keys.Decrypt(k.name, &cloudkms.DecryptRequest{
		Ciphertext: base64.StdEncoding.EncodeToString(sealed), CiphertextCrc32c: checksum32(sealed),
		AdditionalAuthenticatedData: base64.StdEncoding.EncodeToString(place), AdditionalAuthenticatedDataCrc32c: checksum32(place),
		ForceSendFields: []string{"CiphertextCrc32c", "AdditionalAuthenticatedDataCrc32c"},
	}).Context(ctx).Do()
	if err != nil {
		return nil, fmt.Errorf("decrypt under %s: %w", k.name, err)
	}
	plain, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || answer.PlaintextCrc32c != checksum32(plain) {
		return nil, errGarbled
	}
	return plain, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum32(b []byte) int64 { return int64(crc32.Checksum(b, castagnoli)) }
