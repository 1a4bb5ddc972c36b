package testreal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/joho/godotenv"
)

// pinned is the image under a key such as REDIS_IMAGE of deploy/images.env, the one place that names images. It is looked for
// upwards from the working directory, which go test makes the package's own.
func pinned(t testing.TB, key string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		images, err := godotenv.Read(filepath.Join(dir, "deploy", "images.env"))
		switch {
		case err == nil && images[key] != "":
			return images[key]
		case err == nil:
			t.Fatalf("%s names no %s", filepath.Join(dir, "deploy", "images.env"), key)
		case !os.IsNotExist(err):
			t.Fatal(err)
		case dir == filepath.Dir(dir):
			t.Fatalf("no deploy/images.env above the working directory: run the test in the repository")
		}
		dir = filepath.Dir(dir)
	}
}
