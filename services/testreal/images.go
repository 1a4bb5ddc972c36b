package testreal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/joho/godotenv"
)

// Root is the repository's root directory. It is looked for upwards from the working directory, which go test makes the package's own.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(imagesFile(dir))
		switch {
		case err == nil:
			return dir
		case !os.IsNotExist(err):
			t.Fatal(err)
		case dir == filepath.Dir(dir):
			t.Fatalf("no deploy/images.env above the working directory: run the test in the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// imagesFile is the one place that names images.
func imagesFile(root string) string { return filepath.Join(root, "deploy", "images.env") }

// pinned is the image under a key such as REDIS_IMAGE.
func pinned(t testing.TB, key string) string {
	t.Helper()
	path := imagesFile(Root(t))
	images, err := godotenv.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if images[key] == "" {
		t.Fatalf("%s names no %s", path, key)
	}
	return images[key]
}
