package export_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/testkit"
)

// ENC-1: the pieces of exports open in their own place alone: none as another piece, of another export or of another customer.
func TestSealedValuesOpenInTheirOwnPlaceAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var values []testkit.SealedValue
	for _, p := range []person{r.add(t, "adasword"), r.add(t, "bensword")} {
		r.exec(t, "SET session_replication_role = replica")
		r.exec(t, `INSERT INTO outbox (customer_id, id, user_id, kind, state, run_at, error, created_at)
			SELECT $1::uuid, (left(uuid_floor(now())::text, 19) || right(gen_random_uuid()::text, 17))::uuid, $2, 'x', 'done', now(), md5(n::text) || md5($1::uuid::text || n), now() FROM generate_series(1, 40000) n`, p.customer.String(), p.user.String())
		r.exec(t, "SET session_replication_role = origin")
		for range 2 {
			id := r.ask(t, p)
			require.NoError(t, r.Make(t.Context(), p.customer, id))
			var pieces int
			require.NoError(t, r.root.QueryRow(t.Context(), "SELECT count(*) FROM export_parts WHERE export_id = $1", id.String()).Scan(&pieces))
			require.Greater(t, pieces, 1)
			for n := range pieces {
				values = append(values, testkit.SealedValue{Table: "export_parts", Column: "sealed", Key: map[string]any{"export_id": id.String(), "n": n}, Open: func(sealed []byte) error {
					_, err := r.box(t, p).Open(sealed, fmt.Sprintf("export_parts|%s|%d", id, n))
					return err
				}})
			}
		}
	}
	require.Greater(t, testkit.MoveSealed(t, r.database, values), 50)
}
