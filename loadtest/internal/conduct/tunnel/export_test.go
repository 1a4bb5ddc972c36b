package tunnel

// Closed is closed when the connection has ended.
func (c *Client) Closed() <-chan struct{} { return c.conn.ended }
