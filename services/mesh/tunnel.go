package mesh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/smaran-v2/smaran/services/mesh/upstream"
)

func isWebSocket(protocol string) bool { return strings.EqualFold(protocol, "websocket") }

// tunnel passes an upgraded connection on, both ways, until either side ends it or the request's context does. The head
// of the 101 carries the session's token, as any other.
func (x *exchange) tunnel(conn *upstream.Conn, res *http.Response) error {
	if x.upgrade == "" {
		return upstream.ErrProtocol // nobody asked to switch
	}
	x.head(res)
	head := x.w.Header()
	client, buffered, err := x.control.Hijack()
	if err != nil {
		return errors.Join(errClientGone, err)
	}
	defer client.Close()
	defer context.AfterFunc(x.r.Context(), func() { _ = client.Close() })() // the second of two closes fails, rightly

	if err := writeSwitch(buffered.Writer, res, head); err != nil {
		return nil // the client is gone, and there is no response left to make
	}
	pod := conn.Tunnel()
	defer pod.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(pod, buffered.Reader) // its end is the tunnel's, whatever the reason
		_ = pod.Close()
	}()
	_, _ = io.Copy(client, pod) // as above
	_ = client.Close()
	<-ended
	return nil
}

func writeSwitch(w *bufio.Writer, res *http.Response, head http.Header) error {
	head["Connection"], head["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n") // the first error sticks until Flush
	if err := head.Write(w); err != nil {
		return err
	}
	_, _ = w.WriteString("\r\n")
	return w.Flush()
}
