//! Both routers on loopback ports.
