"""What a packet meets: one file a mechanism, composed into paths and folded into passes."""
