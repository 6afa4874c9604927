"""What the fault suite plays with: a scripted upstream, a raw client, and the gateway as a real process."""
