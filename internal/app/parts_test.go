package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/gmail"
)

func TestAMailboxGoesAtThePaceOfItsTariff(t *testing.T) {
	t.Parallel()
	for _, tariff := range []gmail.Tariff{gmail.TariffNew(), gmail.TariffOld()} {
		r := accountRate(tariff, 1)
		require.InDelta(t, tariff.PerUserMinute, r.Capacity+60*r.Refill, 0.001)
	}
	require.Greater(t, accountRate(gmail.TariffOld(), 1).Refill, 2*accountRate(gmail.TariffNew(), 1).Refill)
}
