"""Stand-ins for Supabase Auth, Stripe and Razorpay on loopback, for a machine without accounts anywhere."""
