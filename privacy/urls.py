from django.urls import path

from privacy import views

urlpatterns = [
    path("auth/account", views.AccountView.as_view()),
    path("auth/account/restore", views.RestoreView.as_view()),
    path("erasures/<uuid:erasure_id>", views.ErasureView.as_view()),
    path("me/consents", views.ConsentView.as_view()),
    path("me/export", views.ExportView.as_view()),
    path("me/exports", views.ExportList.as_view()),
    path("me/exports/<uuid:export_id>", views.ExportDetail.as_view()),
    path("exports/<str:token>", views.DownloadView.as_view()),
]
