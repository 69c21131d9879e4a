package experiments

import (
	"strings"
	"testing"

	"example.com/geometric-complexity/datasets"
)

func TestMissingDataOffersTheEmbeddedImages(t *testing.T) {
	t.Setenv(datasets.EnvData, t.TempDir())
	_, err := paperResNet().task().Data.load(datasets.Format{})
	if err == nil || !strings.HasSuffix(err.Error(), "--set dataset=fashion-mnist-subset") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v; want one line that ends in the way out", err)
	}
}
